import type { Plan, Point } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import { assign, span, svg, write } from "../util/dom.js";
import { fixed, shorten, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { captioned } from "../util/parts.js";
import { along } from "./along.js";
import { type Axis, axisOver, labelled } from "./axis.js";
import { ChartFrame, QUARTERS } from "./frame.js";

const HEIGHT = 188;
const MARGINS = { left: 46, right: 46, top: 8, bottom: 32 };

/**
 * F along the path on the left axis, its derivative on the right one, and alpha as a line that can be
 * dragged. The line is for pointers; keys and screen readers have the alpha slider.
 */
export class PathChart {
  readonly element: HTMLElement;
  readonly #frame: ChartFrame;
  readonly #output = span("igw-key igw-key-output", "F(α)");
  #picture: Picture | undefined;
  #alpha = 0;

  constructor(choose: (alpha: number) => void, settle: () => void, signal: AbortSignal) {
    this.#frame = new ChartFrame("path", HEIGHT, MARGINS, () => this.#layOut(), signal);
    this.element = captioned(
      "igw-panel",
      ["Along the path", this.#output, span("igw-key igw-key-density", "dF/dα")],
      this.#frame.element,
    );
    this.#listen(choose, settle, signal);
    this.#layOut();
  }

  show(picture: Picture | undefined): void {
    this.#picture = picture;
    this.#layOut();
  }

  /** Moves the cursor; nothing else is drawn again. */
  move(alpha: number): void {
    this.#alpha = alpha;
    const outputs = this.#picture?.plan.outputs ?? [];
    const value = along(outputs, alpha);
    const hasKnob = outputs.length > 0 && this.#isPath;
    this.#frame.moveCursor(this.#frame.x(alpha), hasKnob ? this.#left.at(value) : undefined);
    assign(this.#frame.element, { "aria-label": this.#inWords(value) });
  }

  /** Draws lie in no order, so that no line joins them. */
  get #isPath(): boolean {
    return this.#picture?.begin.path !== "draws";
  }

  get #left(): Axis {
    const values = (this.#picture?.plan.outputs ?? []).map(([, value]) => value);
    return axisOver(values.length > 0 ? values : [0, 1], this.#frame.vertical, 4);
  }

  get #right(): Axis {
    const values = (this.#picture?.plan.density ?? []).map(([, value]) => value);
    return axisOver([0, ...values], this.#frame.vertical, 4);
  }

  #layOut(): void {
    const frame = this.#frame;
    const unit = shorten(this.#picture?.begin.outputName ?? "", 24);
    write(this.#output, unit ? `F(α), ${unit}` : "F(α)");
    frame.draw(
      frame.below(
        QUARTERS.map((alpha) => [frame.x(alpha), String(alpha)]),
        "α",
      ),
      this.#picture ? this.#lines(this.#picture.plan) : [],
    );
    this.move(this.#alpha);
  }

  *#lines({ outputs, density }: Plan): Generator<SVGElement> {
    const frame = this.#frame;
    if (!this.#isPath) {
      yield frame.text("No path: α is the share of the draws taken", HEIGHT / 2);
      return;
    }
    const [left, right] = [this.#left, this.#right];
    yield* frame.grid(left, labelled(left.ticks), "igw-on-output");
    for (const [value, text] of labelled(right.ticks))
      yield frame.label(frame.right + 6, right.at(value), "start", text, "igw-on-density");
    const line = (points: readonly Point[], axis: Axis) =>
      points.map(([alpha, value]) => `${frame.x(alpha).toFixed(2)} ${axis.at(value).toFixed(2)}`);
    const curve = line(outputs, left);
    yield svg("path", { class: "igw-density", d: `M${line(density, right).join("L")}` });
    yield svg("path", { class: "igw-output", d: `M${curve.join("L")}` });
    // A line of no length with round ends is a dot: one element for all of them.
    yield svg("path", { class: "igw-dots", d: curve.map((at) => `M${at}h0`).join("") });
  }

  #listen(choose: (alpha: number) => void, settle: () => void, signal: AbortSignal): void {
    const { element } = this.#frame;
    const point = (event: PointerEvent) => {
      choose(Math.round(this.#frame.shareAt(event) * 1000) / 1000);
    };
    const press = (event: PointerEvent) => {
      if (event.button !== 0) return;
      event.preventDefault();
      element.setPointerCapture(event.pointerId);
      point(event);
    };
    const move = (event: PointerEvent) => {
      if (element.hasPointerCapture(event.pointerId)) point(event);
    };
    listen(element, "pointerdown", press, signal);
    listen(element, "pointermove", move, signal);
    for (const end of ["pointerup", "pointercancel"] as const) listen(element, end, settle, signal);
  }

  #inWords(value: number): string {
    const { outputs = [] } = this.#picture?.plan ?? {};
    const [first, last] = [outputs[0], outputs[outputs.length - 1]];
    if (first === undefined || last === undefined) return "path chart: nothing sampled yet";
    if (!this.#isPath) return "path chart: no path, alpha is the share of the draws taken";
    const range = `from ${significant(first[1])} to ${significant(last[1])}`;
    const here = `at alpha ${fixed(this.#alpha, 2)} it is ${significant(value)}`;
    return `path chart: F goes ${range} along the path; ${here}`;
  }
}
