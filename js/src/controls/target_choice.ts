import type { Traits } from "../core/traits.js";
import { assign, html } from "../util/dom.js";
import { className, percent, shorten, tooltip } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import { select } from "./choice.js";

/** The class to explain: the likeliest ones first, then any other by name. */
export class TargetChoice {
  readonly element: HTMLLabelElement;
  readonly #traits: Traits;
  readonly #select = html("select", { "aria-label": "target" });
  readonly #top = html("optgroup", { label: "top classes" });
  readonly #all = html("optgroup", { label: "all classes" });
  /** All classes, sorted by name; built once, because there may be thousands. */
  #options: readonly HTMLOptionElement[] = [];

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.#select.append(this.#top, this.#all);
    this.element = withLabel("target", "igw-target", this.#select);
    const choose = () => {
      const { value } = this.#select;
      traits.set("target", /^\d+$/.test(value) ? Number(value) : value);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on(["target"], () => this.#follow(), signal);
    traits.on(["_top"], () => this.#arrange(), signal);
    traits.on(["_labels", "_n_classes"], () => this.#build(), signal);
    this.#build();
  }

  #build(): void {
    const labels = this.#traits.get("_labels");
    const count = Math.max(labels.length, this.#traits.get("_n_classes"));
    const seen = new Map<string, number>();
    for (const label of labels) seen.set(label, (seen.get(label) ?? 0) + 1);
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    this.#options = Array.from({ length: count }, (_, index) => ({
      index,
      name: className(labels, index),
      isDouble: (seen.get(labels[index] ?? "") ?? 0) > 1,
    }))
      .filter(({ index }) => this.#traits.offers("target", index))
      .sort((a, b) => compare(a.name, b.name) || a.index - b.index)
      .map(({ index, name, isDouble }) =>
        html("option", { value: index }, isDouble ? `${name} (${index})` : name),
      );
    this.#arrange();
  }

  #arrange(): void {
    const labels = this.#traits.get("_labels");
    const top = this.#traits.get("_top");
    const isTop = new Set(top.map(([index]) => String(index)));
    this.#top.replaceChildren(
      ...top.map(([index, probability]) =>
        html(
          "option",
          { value: index, disabled: !this.#traits.offers("target", index) },
          `${className(labels, index)} ${percent(probability)}`,
        ),
      ),
    );
    this.#all.replaceChildren(...this.#options.filter(({ value }) => !isTop.has(value)));
    this.#follow();
  }

  #follow(): void {
    const target = this.#traits.get("target");
    const labels = this.#traits.get("_labels");
    const label = typeof target === "string" ? target : (labels[target] ?? "");
    const shown = typeof target === "string" ? shorten(target) : className(labels, target);
    select(this.#select, String(target), shown);
    assign(this.#select, { title: tooltip(label) });
    // A model with a single output has no targets to choose from.
    const isAlone = this.#options.length === 0 && this.#top.childElementCount === 0;
    this.element.hidden = typeof target === "number" && isAlone;
  }
}
