import type { CoreTraits, Traits } from "../core/traits.js";
import { assign, html, span, write } from "../util/dom.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";

/** A native slider over the values of a list, of a trait that is a text. */
export class ListSlider<T extends CoreTraits> {
  readonly element: HTMLLabelElement;

  /** The label is also the accessible name, `title` a sentence on it; `format` tells a value in words. */
  constructor(
    traits: Traits<T>,
    trait: keyof T & string,
    { label, title }: { readonly label: string; readonly title: string },
    values: readonly string[],
    format: (value: string) => string,
    signal: AbortSignal,
  ) {
    const max = values.length - 1;
    const input = html("input", {
      type: "range",
      "aria-label": label,
      title,
      min: 0,
      max,
      step: 1,
    });
    const value = span("igw-value");
    this.element = withLabel(label, "igw-slider", value, input);
    const choose = () => {
      const chosen = values[input.valueAsNumber];
      if (chosen !== undefined) traits.set(trait, chosen as T[typeof trait]);
    };
    listen(input, "input", choose, signal);
    for (const end of ["change", "pointerup", "keyup"] as const)
      listen(input, end, () => traits.flush(), signal);
    const follow = () => {
      const chosen = String(traits.get(trait));
      const words = format(chosen);
      input.valueAsNumber = values.indexOf(chosen);
      assign(input, { "aria-valuetext": words });
      write(value, words);
    };
    traits.on([trait], follow, signal);
    follow();
  }
}
