import { div, html, span, write } from "../util/dom.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import { parseBaseline, withValue } from "./baseline_text.js";
import type { Parameter } from "./baselines.js";

/** The sliders and the colour of one baseline. */
export class BaselineParameters {
  readonly element: HTMLElement;
  readonly #fields: readonly {
    readonly parameter: Parameter;
    readonly input: HTMLInputElement;
    readonly value: HTMLElement;
  }[];
  /** The baseline with its parameters, as the trait has it. */
  #text: string;

  /** `choose` is called with the text, and whether the finger is lifted. */
  constructor(
    kind: string,
    parameters: readonly Parameter[],
    choose: (text: string, settled: boolean) => void,
    signal: AbortSignal,
  ) {
    this.#text = kind;
    this.#fields = parameters.map((parameter) => {
      const input = inputFor(parameter, kind);
      const change = (settled: boolean) => {
        this.#text = withValue(this.#text, parameter.name, input.value);
        choose(this.#text, settled);
      };
      listen(input, "input", () => change(false), signal);
      listen(input, "change", () => change(true), signal);
      return { parameter, input, value: span("igw-value") };
    });
    this.element = div(
      "igw-controls igw-parameters",
      ...this.#fields.map(({ parameter, input, value }) =>
        withLabel(parameter.name, "", value, input),
      ),
    );
  }

  /** Follows the trait, but for a slider that somebody holds. */
  follow(text: string): void {
    this.#text = text;
    const { values } = parseBaseline(text);
    for (const { parameter, input, value } of this.#fields) {
      const own = values.get(parameter.name);
      if (own !== undefined && input !== document.activeElement) input.value = own;
      const unit = "colour" in parameter ? "" : parameter.unit;
      write(value, unit === "" ? input.value : `${input.value} ${unit}`);
    }
  }
}

function inputFor(parameter: Parameter, kind: string): HTMLInputElement {
  const label = `${parameter.name} of ${kind}`;
  const title = `Sets ${parameter.name} of the baseline; it is kept when another is chosen.`;
  if ("colour" in parameter)
    return html("input", { type: "color", "aria-label": label, title, value: parameter.colour });
  const { low: min, high: max, step, value } = parameter;
  const input = html("input", { type: "range", "aria-label": label, title, min, max, step });
  input.valueAsNumber = value;
  return input;
}
