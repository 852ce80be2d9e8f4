import type { CoreTraits, Traits } from "../core/traits.js";
import { html, span, write } from "../util/dom.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";

export interface SliderOptions {
  /** Also the accessible name. */
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly format: (value: number) => string;
  /** Another trait that the format looks at. */
  readonly formattedBy?: keyof CoreTraits;
}

/** A native slider that stands for one trait, with its label and its value beside it. */
export class Slider<T extends CoreTraits> {
  readonly element: HTMLLabelElement;
  readonly #input: HTMLInputElement;
  readonly #value: HTMLElement;
  readonly #format: (value: number) => string;

  constructor(
    traits: Traits<T>,
    trait: keyof T & string,
    options: SliderOptions,
    signal: AbortSignal,
  ) {
    const { label, min, max, step, format } = options;
    this.#format = format;
    this.#input = html("input", { type: "range", "aria-label": label, min, max, step });
    this.#value = span("igw-value");
    this.element = withLabel(label, "igw-slider", this.#value, this.#input);

    const choose = () => traits.set(trait, this.#input.valueAsNumber as T[typeof trait]);
    listen(this.#input, "input", choose, signal);
    for (const end of ["change", "pointerup", "keyup"] as const)
      listen(this.#input, end, () => traits.flush(), signal);
    const follow = () => this.#show(traits.get(trait) as number);
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
