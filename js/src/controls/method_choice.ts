import { methodOf } from "../core/methods.js";
import type { Traits } from "../core/traits.js";
import { assign, html } from "../util/dom.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import { select } from "./choice.js";

/** The method: rules of Integrated Gradients, then its relatives, each in words and with a sentence on it. */
export class MethodChoice {
  readonly element: HTMLLabelElement;
  readonly #traits: Traits;
  readonly #select = html("select", { "aria-label": "method" });

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.element = withLabel("method", "", this.#select);
    const choose = () => {
      traits.set("method", this.#select.value);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on(["_methods"], () => this.#fill(), signal);
    traits.on(["method"], () => this.#follow(), signal);
    this.#fill();
  }

  #fill(): void {
    const offered = this.#traits.get("_methods");
    this.#select.replaceChildren(
      ...methodGroups(offered, (name) => this.#traits.offers("method", name)),
    );
    this.element.hidden = offered.length === 0;
    this.#follow();
  }

  #follow(): void {
    const method = this.#traits.get("method");
    const { words, sentence } = methodOf(method);
    select(this.#select, method, words);
    assign(this.#select, { title: sentence });
  }
}

/** Options by group, in the order in which they are offered. */
export function methodGroups(
  names: readonly string[],
  isOffered: (name: string) => boolean = () => true,
): HTMLOptGroupElement[] {
  const groups = new Map<string, HTMLOptGroupElement>();
  for (const name of names) {
    const { words, sentence, group } = methodOf(name);
    const box = groups.get(group) ?? html("optgroup", { label: group });
    groups.set(group, box);
    box.append(html("option", { value: name, title: sentence, disabled: !isOffered(name) }, words));
  }
  return [...groups.values()];
}
