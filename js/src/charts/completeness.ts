import type { Plan } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import { div, html, span, write } from "../util/dom.js";
import { percent, shorten, signed, significant } from "../util/format.js";
import { captioned } from "../util/parts.js";

/** F at the two ends of the path, and how the sum of attributions meets their difference. */
export interface Balance {
  readonly atBaseline: number;
  readonly atInput: number;
  /** NaN where completeness is not claimed. */
  readonly difference: number;
  /** |delta| / |difference|; NaN where the difference is 0. */
  readonly relative: number;
}

export function balance({ outputs, sum, delta }: Plan): Balance {
  const difference = delta === null ? Number.NaN : sum - delta;
  const end = (alpha: number) => outputs.find(([at]) => at === alpha)?.[1] ?? Number.NaN;
  const relative = delta === null || difference === 0 ? Number.NaN : Math.abs(delta / difference);
  return { atBaseline: end(0), atInput: end(1), difference, relative };
}

/** Completeness: attributions add up to F(x) - F(x'), but for the convergence delta. */
export class CompletenessMeter {
  readonly element: HTMLElement;
  readonly #unit = span("igw-unit");
  readonly #cells = new Map<string, HTMLElement>();
  readonly #difference = div("igw-bar igw-bar-difference");
  readonly #sum = div("igw-bar igw-bar-sum");

  constructor() {
    const rows = [
      ["F(x)", "input"],
      ["F(x′)", "baseline"],
      ["difference", "F(x) − F(x′)"],
      ["sum", "of attributions"],
      ["delta", "sum − difference"],
      ["relative", "|delta| / |difference|"],
    ].map(([name = "", gloss = ""]) => {
      const cell = html("td", {}, "n/a");
      this.#cells.set(name, cell);
      return html(
        "tr",
        {},
        html("th", { scope: "row" }, name, " ", html("small", {}, gloss)),
        cell,
      );
    });
    this.element = captioned(
      "igw-panel igw-completeness",
      ["Completeness", this.#unit],
      html("div", { class: "igw-bars", "aria-hidden": "true" }, this.#difference, this.#sum),
      html("table", {}, html("tbody", {}, ...rows)),
    );
  }

  show(picture: Picture | undefined): void {
    if (picture === undefined) return;
    const { begin, plan } = picture;
    const { atBaseline, atInput, difference, relative } = balance(plan);
    write(this.#unit, shorten(begin.outputName, 24));
    this.#set("F(x)", significant(atInput, 4));
    this.#set("F(x′)", significant(atBaseline, 4));
    this.#set("difference", signed(difference, 4));
    this.#set("sum", signed(plan.sum, 4));
    this.#set("delta", plan.delta === null ? "not claimed" : signed(plan.delta, 2));
    this.#set("relative", percent(relative, 2));
    this.#draw(plan.delta === null ? 0 : difference, plan.sum);
  }

  #set(name: string, text: string): void {
    const cell = this.#cells.get(name);
    if (cell !== undefined) write(cell, text);
  }

  /** Both bars share zero and scale, so that a difference is visible. */
  #draw(difference: number, sum: number): void {
    const low = Math.min(0, difference, sum);
    const high = Math.max(0, difference, sum);
    const span = high - low || 1;
    for (const [bar, value] of [
      [this.#difference, difference],
      [this.#sum, sum],
    ] as const) {
      bar.style.marginLeft = `${(100 * (Math.min(value, 0) - low)) / span}%`;
      bar.style.width = `${(100 * Math.abs(value)) / span}%`;
    }
  }
}
