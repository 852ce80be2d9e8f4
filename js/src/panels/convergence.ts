import { ErrorChart, type Line, shortPercent } from "../charts/error_chart.js";
import type { Run } from "../core/run.js";
import {
  list,
  maybe,
  number,
  offered,
  record,
  row,
  text,
  type ValuesOf,
} from "../core/trait_table.js";
import type { CoreTraits, Traits } from "../core/traits.js";
import { assign, button, html, paragraph, write } from "../util/dom.js";
import { percent, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { captioned, numbers } from "../util/parts.js";

/** How a rule's map settles. `error`: its distance to the finest map at hand; `estimate`: its own, of its error. */
export interface Curve {
  readonly method: string;
  readonly points: readonly (readonly [
    evaluations: number,
    error: number | null,
    estimate: number | null,
    delta: number | null,
  ])[];
}

export const CONVERGENCE_TRAITS = {
  _curves: offered<readonly Curve[]>(
    list(record({ method: text, points: list(row(number, maybe, maybe, maybe)) })),
    [],
  ),
};
export type ConvergenceTraits = CoreTraits & ValuesOf<typeof CONVERGENCE_TRAITS>;

type Quantity = "error" | "delta";
const DRAWN = ["_curves", "_methods", "method", "tol"] as const;

/** The error of each rule over evaluations, and a button to refine. */
export class Convergence {
  readonly element: HTMLElement;
  readonly #traits: Traits<ConvergenceTraits>;
  readonly #chart: ErrorChart;
  readonly #finest = paragraph("igw-note");
  readonly #deepLift = html(
    "p",
    { class: "igw-note", hidden: true },
    "secant with one cell is DeepLIFT (rescale rule)",
  );
  readonly #refine = html("button", { type: "button" });
  readonly #stop = button("stop", { disabled: true });
  readonly #tol = html("input", {
    type: "number",
    min: 1,
    max: 50,
    step: 1,
    "aria-label": "tolerance, in percent",
  });
  readonly #rows = html("tbody");
  readonly #table: HTMLDetailsElement;
  readonly #radios: readonly HTMLInputElement[];
  #quantity: Quantity = "error";
  #run: Run["kind"] = "idle";

  constructor(traits: Traits<ConvergenceTraits>, cancel: () => void, signal: AbortSignal) {
    this.#traits = traits;
    this.#chart = new ErrorChart(signal);
    this.#table = table(this.#rows);
    const [group, radios] = quantities();
    this.#radios = radios;
    this.element = captioned(
      "igw-panel igw-convergence",
      ["Convergence", group],
      this.#chart.element,
      this.#finest,
      html(
        "div",
        { class: "igw-refine", hidden: traits.isRecording },
        this.#refine,
        this.#stop,
        html("label", {}, "tolerance ", this.#tol, " %"),
      ),
      this.#deepLift,
      this.#table,
    );
    this.#listen(cancel, signal);
    traits.on(DRAWN, () => this.#draw(), signal);
    traits.on(["method", "n_steps"], () => this.#nameDeepLift(), signal);
    traits.on(["tol"], () => this.#writeTolerance(), signal);
    this.#writeTolerance();
    this.#nameDeepLift();
    this.#draw();
  }

  /** Follows the state of the newest request. */
  show(run: Run): void {
    if (run.kind === this.#run) return;
    this.#run = run.kind;
    this.#enable();
  }

  #listen(cancel: () => void, signal: AbortSignal): void {
    const traits = this.#traits;
    const refine = () => {
      traits.set("method", "auto");
      traits.flush();
    };
    listen(this.#refine, "click", refine, signal);
    listen(this.#stop, "click", cancel, signal);
    const choose = () => {
      const typed = this.#tol.valueAsNumber;
      if (Number.isFinite(typed)) {
        traits.set("tol", Math.min(Math.max(typed, 1), 50) / 100);
        traits.flush();
      }
      this.#writeTolerance();
    };
    listen(this.#tol, "change", choose, signal);
    for (const radio of this.#radios) {
      const turn = () => {
        this.#quantity = radio.value === "delta" ? "delta" : "error";
        this.#draw();
      };
      listen(radio, "change", turn, signal);
    }
  }

  #draw(): void {
    const curves = this.#traits.get("_curves");
    const lines = linesOf(curves, this.#traits, this.#quantity);
    const isError = this.#quantity === "error";
    // A chart of the finest map alone would be empty.
    assign(this.#chart.element, { hidden: lines.length === 0 });
    if (lines.length > 0)
      this.#chart.show({
        lines,
        quantity: isError ? "relative error" : "size of the convergence delta",
        isShare: isError,
        level: isError ? this.#traits.get("tol") : undefined,
      });
    write(this.#finest, caption(curves, this.#quantity, lines.length === 0));
    this.#rows.replaceChildren(...rowsOf(curves));
    this.#table.hidden = curves.length === 0;
    write(this.#refine, `refine until ${shortPercent(this.#traits.get("tol"))}`);
    this.#enable();
  }

  #nameDeepLift(): void {
    const isOne = this.#traits.get("method") === "secant" && this.#traits.get("n_steps") === 1;
    this.#deepLift.hidden = !isOne;
  }

  /** If the method is `auto` already, only another tolerance refines. */
  #enable(): void {
    const isAsked = this.#traits.get("method") === "auto";
    const title = isAsked ? "asked for already; another tolerance asks anew" : "";
    assign(this.#refine, { disabled: isAsked, title });
    assign(this.#stop, { disabled: this.#run !== "computing" });
  }

  #writeTolerance(): void {
    const value = Number((100 * this.#traits.get("tol")).toPrecision(4));
    if (this.#tol.valueAsNumber !== value) this.#tol.valueAsNumber = value;
  }
}

/** A switch of two. The name must be unique, because radio buttons of one name are linked across the page. */
function quantities(): [HTMLElement, HTMLInputElement[]] {
  const name = `igw-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const radios = ["error", "delta"].map((value) =>
    html("input", { type: "radio", name, value, checked: value === "error" }),
  );
  const labels = radios.map((radio) => html("label", {}, radio, radio.value));
  const group = { class: "igw-switch", role: "radiogroup", "aria-label": "on the vertical axis" };
  return [html("span", group, ...labels), radios];
}

function table(rows: HTMLElement): HTMLDetailsElement {
  const heads = ["rule", "evaluations", "error", "own estimate", "delta"];
  const table = numbers(heads, "errors of each rule, in numbers", rows);
  return html("details", {}, html("summary", {}, "the numbers"), table);
}

/** Leaves out values of 0, which a logarithmic axis cannot show. */
function linesOf(
  curves: readonly Curve[],
  traits: Traits<ConvergenceTraits>,
  quantity: Quantity,
): Line[] {
  const methods = traits.get("_methods");
  const others = curves.map(({ method }) => method).filter((name) => !methods.includes(name));
  const ranks = [...methods, ...others];
  return curves.flatMap(({ method, points }) => {
    const line = (
      isEstimate: boolean,
      pick: (point: Curve["points"][number]) => number | null,
    ) => ({
      name: method,
      rank: ranks.indexOf(method),
      isEstimate,
      isCurrent: method === traits.get("method"),
      points: points.flatMap((point) => {
        const value = Math.abs(pick(point) ?? 0);
        return value > 0 ? [[point[0], value] as const] : [];
      }),
    });
    const lines =
      quantity === "error"
        ? [line(false, ([, error]) => error), line(true, ([, , estimate]) => estimate)]
        : [line(false, ([, , , delta]) => delta)];
    return lines.filter((made) => made.points.length > 0);
  });
}

function caption(curves: readonly Curve[], quantity: Quantity, isEmpty: boolean): string {
  if (curves.length === 0) return "Nothing sampled yet: errors appear as maps come.";
  if (quantity === "delta")
    return isEmpty
      ? "No convergence delta other than zero so far."
      : "delta: the sum of the map less F(x) − F(x′), by size";
  const [finest] = curves.flatMap(({ method, points }) =>
    points
      .filter(([, error]) => error === null)
      .map(([count]) => `${method}, ${count} evaluations`),
  );
  if (isEmpty)
    return `One map alone has no error to show${finest ? ` (${finest})` : ""}: more steps or another rule will.`;
  return finest === undefined
    ? "errors are distances to the finest map at hand"
    : `errors are distances to the finest map at hand: ${finest}`;
}

function* rowsOf(curves: readonly Curve[]): Generator<HTMLElement> {
  for (const { method, points } of curves)
    for (const [evaluations, error, estimate, delta] of points)
      yield html(
        "tr",
        {},
        html("th", { scope: "row" }, method),
        html("td", {}, String(evaluations)),
        html("td", {}, error === null ? "the finest" : percent(error, 2)),
        html("td", {}, estimate === null ? "n/a" : percent(estimate, 2)),
        html("td", {}, delta === null ? "n/a" : significant(delta, 2)),
      );
}
