import type { CoreTraits, Traits } from "../core/traits.js";
import { html } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";

/** A native list of the values of one trait. */
export class Choice<T extends CoreTraits> {
  readonly element: HTMLLabelElement;
  readonly #select: HTMLSelectElement;

  /** `choices` is a fixed list, or the trait that holds it. `label` is also the accessible name. */
  constructor(
    traits: Traits<T>,
    trait: keyof T & string,
    label: string,
    choices: readonly string[] | (keyof T & string),
    signal: AbortSignal,
  ) {
    this.#select = html("select", { "aria-label": label });
    this.element = withLabel(label, "", this.#select);
    const fill = () => {
      const names = (
        typeof choices === "string" ? traits.get(choices) : choices
      ) as readonly string[];
      this.#select.replaceChildren(
        ...names.map((name) =>
          html("option", { value: name, disabled: !traits.offers(trait, name) }, shorten(name)),
        ),
      );
      this.element.hidden = names.length === 0;
      follow();
    };
    const follow = () => select(this.#select, String(traits.get(trait)));
    const choose = () => {
      traits.set(trait, this.#select.value as T[typeof trait]);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on([trait], follow, signal);
    if (typeof choices === "string") traits.on([choices], fill, signal);
    fill();
  }
}

/** Selects a value; adds it if Python set one that the list lacks. */
export function select(element: HTMLSelectElement, value: string, text = shorten(value)): void {
  element.value = value;
  if (element.value === value) return;
  element.append(html("option", { value }, text));
  element.value = value;
}
