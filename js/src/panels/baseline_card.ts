import { assign, div, html, paragraph, span, write } from "../util/dom.js";
import { percent, shorten, significant, tooltip } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import { parseBaseline, withValue } from "./baseline_text.js";
import type { Card, Parameter } from "./baselines.js";

/** A card of one baseline; `release` frees its picture and listeners. */
export class CardView {
  readonly element: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #sliders: readonly [Parameter, HTMLInputElement, HTMLElement][];
  readonly #url: string;
  readonly #life = new AbortController();
  /** The baseline with its parameters, as the trait has it. */
  #text: string;

  constructor(card: Card, choose: (text: string, settled: boolean) => void) {
    const { signal } = this.#life;
    const { buffer, byteOffset, byteLength } = card.thumbnail;
    const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
    this.#url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    const name = shorten(card.description, 40);
    const image = html("img", { src: this.#url, alt: "", draggable: false });
    this.#button = html(
      "button",
      {
        type: "button",
        "aria-label": `baseline ${shorten(card.name, 80)}`,
        "aria-pressed": false,
        title: tooltip(card.description, 40),
      },
      ...(byteLength > 0 ? [image] : []),
      span("igw-card-name", name),
    );
    this.#text = card.name;
    listen(this.#button, "click", () => choose(this.#text, true), signal);
    this.#sliders = card.parameters.map((parameter) => {
      const value = span("igw-value");
      const input = inputFor(
        parameter,
        `${parameter.name} of ${shorten(parseBaseline(card.name).name)}`,
      );
      const change = (settled: boolean) => {
        this.#text = withValue(this.#text, parameter.name, input.value);
        choose(this.#text, settled);
      };
      listen(input, "input", () => change(false), signal);
      listen(input, "change", () => change(true), signal);
      return [parameter, input, value] as const;
    }) as [Parameter, HTMLInputElement, HTMLElement][];
    this.element = div(
      "igw-card",
      this.#button,
      html("p", {}, `F(x′) ${significant(card.output)}`),
      html(
        "ul",
        {},
        ...card.top.map(([label, p]) => html("li", {}, `${shorten(label, 28)} ${percent(p, 0)}`)),
      ),
      ...entropy(card),
      ...verdict(card),
      ...this.#sliders.map(([parameter, input, value]) =>
        withLabel(parameter.name, "", value, input),
      ),
    );
    this.#describe();
  }

  select(isChosen: boolean, text: string): void {
    assign(this.#button, { "aria-pressed": isChosen ? "true" : "false" });
    assign(this.element, { "data-chosen": isChosen });
    if (!isChosen) return;
    this.#text = text;
    const { values } = parseBaseline(text);
    for (const [{ name }, input] of this.#sliders) {
      const value = values.get(name);
      if (value !== undefined && input !== document.activeElement) input.value = value;
    }
    this.#describe();
  }

  release(): void {
    URL.revokeObjectURL(this.#url);
    this.#life.abort();
  }

  #describe(): void {
    for (const [parameter, input, value] of this.#sliders)
      write(
        value,
        "colour" in parameter
          ? input.value
          : `${input.value}${parameter.unit && ` ${parameter.unit}`}`,
      );
  }
}

function inputFor(parameter: Parameter, label: string): HTMLInputElement {
  if ("colour" in parameter)
    return html("input", { type: "color", "aria-label": label, value: parameter.colour });
  const { low: min, high: max, step, value } = parameter;
  const input = html("input", { type: "range", "aria-label": label, min, max, step });
  input.valueAsNumber = value;
  return input;
}

/** Shown only for models with classes. */
function entropy({ entropy: [bits, most] }: Card): HTMLElement[] {
  if (most === 0) return [];
  const text = `entropy ${bits.toFixed(1)} of ${most.toFixed(1)} bits`;
  return [paragraph("igw-note", text)];
}

/** Warns if the model recognises something in the baseline: then it is no absence. */
function verdict({ neutral, top }: Card): HTMLElement[] {
  const [first] = top;
  if (neutral || first === undefined) return [];
  const [label, probability] = first;
  const text = `not neutral: the model calls it “${shorten(label, 28)}” ${probability.toFixed(2)}`;
  return [paragraph("igw-warning", text)];
}
