import type { Traits } from "../core/traits.js";
import { html } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";

type Named = "method" | "baseline" | "output" | "colormap" | "sign" | "ground" | "channel";
type List = "_methods" | "_baselines" | "_outputs" | "_channels" | "_colormaps";

/** A native list to choose one trait's value from; the values are their own names. */
export class Choice {
  readonly element: HTMLLabelElement;
  readonly #select: HTMLSelectElement;

  /** `choices` is a fixed list, or the trait that holds it. `label` is also the accessible name. */
  constructor(
    traits: Traits,
    trait: Named,
    label: string,
    choices: readonly string[] | List,
    signal: AbortSignal,
  ) {
    this.#select = html("select", { "aria-label": label });
    this.element = html(
      "label",
      { class: "igw-field" },
      html("span", { class: "igw-label" }, label),
      this.#select,
    );
    const fill = () => {
      const names = typeof choices === "string" ? traits.get(choices) : choices;
      this.#select.replaceChildren(
        ...names.map((name) =>
          html("option", { value: name, disabled: !traits.offers(trait, name) }, shorten(name)),
        ),
      );
      follow();
    };
    const follow = () => select(this.#select, traits.get(trait));
    const choose = () => {
      traits.set(trait, this.#select.value);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on([trait], follow, signal);
    if (typeof choices === "string") traits.on([choices], fill, signal);
    fill();
  }
}

/** Shows a value; one that Python set and that is on no list is added to it. */
export function select(element: HTMLSelectElement, value: string, text = shorten(value)): void {
  element.value = value;
  if (element.value === value) return;
  element.append(html("option", { value }, text));
  element.value = value;
}
