import type { Chosen, Traits } from "../core/traits.js";
import { html, write } from "../util/dom.js";
import { listen } from "../util/life.js";

export interface SliderOptions {
  /** Also the accessible name. */
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly format: (value: number) => string;
  /** Another trait that the format looks at. */
  readonly formattedBy?: keyof Chosen;
}

type Numeric = "alpha" | "n_steps" | "opacity" | "clip";

/** A native slider that stands for one trait, with its label and its value beside it. */
export class Slider {
  readonly element: HTMLLabelElement;
  readonly #input: HTMLInputElement;
  readonly #value: HTMLElement;
  readonly #format: (value: number) => string;

  constructor(traits: Traits, trait: Numeric, options: SliderOptions, signal: AbortSignal) {
    const { label, min, max, step, format } = options;
    this.#format = format;
    this.#input = html("input", { type: "range", "aria-label": label, min, max, step });
    this.#value = html("span", { class: "igw-value" });
    this.element = html(
      "label",
      { class: "igw-field igw-slider" },
      html("span", { class: "igw-label" }, label),
      this.#value,
      this.#input,
    );

    const choose = () => traits.set(trait, this.#input.valueAsNumber);
    listen(this.#input, "input", choose, signal);
    for (const end of ["change", "pointerup", "keyup"] as const)
      listen(this.#input, end, () => traits.flush(), signal);
    const follow = () => this.#show(traits.get(trait));
    traits.on(options.formattedBy ? [trait, options.formattedBy] : [trait], follow, signal);
    follow();
  }

  #show(value: number): void {
    if (this.#input.valueAsNumber !== value) this.#input.valueAsNumber = value;
    this.#describe(value);
  }

  #describe(value: number): void {
    write(this.#value, this.#format(value));
  }
}
