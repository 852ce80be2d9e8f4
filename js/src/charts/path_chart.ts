import type { Plan, Point } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import { assign, html, svg, write } from "../util/dom.js";
import { fixed, shorten, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { onWidth } from "../util/width.js";
import { along } from "./along.js";
import { type Axis, axisOver, labelled } from "./axis.js";

const HEIGHT = 188;
const MARGIN = { left: 46, right: 46, top: 8, bottom: 32 };

/**
 * F along the path on the left axis, its derivative on the right one, and alpha as a line that can be
 * dragged. The line is for pointers; keys and screen readers have the alpha slider.
 */
export class PathChart {
  readonly element: HTMLElement;
  readonly #frame = svg("svg", { role: "img", class: "igw-path", height: HEIGHT });
  readonly #marks = svg("g");
  readonly #cursor = svg("line", { class: "igw-cursor", y1: MARGIN.top });
  readonly #knob = svg("circle", { class: "igw-knob", r: 4 });
  readonly #output = html("span", { class: "igw-key igw-key-output" }, "F(α)");
  #picture: Picture | undefined;
  #alpha = 0;
  #width = 320;

  constructor(choose: (alpha: number) => void, settle: () => void, signal: AbortSignal) {
    this.#frame.append(this.#marks, this.#cursor, this.#knob);
    this.element = html(
      "figure",
      { class: "igw-panel" },
      html(
        "figcaption",
        { class: "igw-caption" },
        html("span", { class: "igw-title" }, "Along the path"),
        this.#output,
        html("span", { class: "igw-key igw-key-density" }, "dF/dα"),
      ),
      this.#frame,
    );
    this.#listen(choose, settle, signal);
    onWidth(this.element, (width) => this.#resize(width), signal);
  }

  show(picture: Picture | undefined): void {
    this.#picture = picture;
    this.#layOut();
  }

  /** Moves the cursor; nothing else is drawn again. */
  move(alpha: number): void {
    this.#alpha = alpha;
    const x = this.#x(alpha);
    assign(this.#cursor, { x1: x, x2: x, y2: HEIGHT - MARGIN.bottom });
    const outputs = this.#picture?.plan.outputs ?? [];
    const value = along(outputs, alpha);
    assign(this.#knob, {
      cx: x,
      cy: this.#left.at(value),
      hidden: outputs.length === 0 || !this.#isPath,
    });
    assign(this.#frame, { "aria-label": this.#inWords(value) });
  }

  /** Draws lie in no order, so that no line joins them. */
  get #isPath(): boolean {
    return this.#picture?.begin.path !== "draws";
  }

  get #left(): Axis {
    const values = (this.#picture?.plan.outputs ?? []).map(([, value]) => value);
    return axisOver(values.length > 0 ? values : [0, 1], this.#vertical, 4);
  }

  get #right(): Axis {
    const values = (this.#picture?.plan.density ?? []).map(([, value]) => value);
    return axisOver([0, ...values], this.#vertical, 4);
  }

  get #vertical(): readonly [number, number] {
    return [HEIGHT - MARGIN.bottom, MARGIN.top];
  }

  #x(alpha: number): number {
    return MARGIN.left + alpha * (this.#width - MARGIN.left - MARGIN.right);
  }

  #resize(width: number): void {
    if (width <= MARGIN.left + MARGIN.right || width === this.#width) return;
    this.#width = width;
    this.#layOut();
  }

  #layOut(): void {
    assign(this.#frame, { viewBox: `0 0 ${this.#width} ${HEIGHT}`, width: this.#width });
    const unit = shorten(this.#picture?.begin.outputName ?? "", 24);
    write(this.#output, unit ? `F(α), ${unit}` : "F(α)");
    this.#marks.replaceChildren(
      ...this.#grid(),
      ...(this.#picture && this.#isPath ? this.#lines(this.#picture.plan) : []),
    );
    this.move(this.#alpha);
  }

  *#grid(): Generator<SVGElement> {
    const bottom = HEIGHT - MARGIN.bottom;
    const end = this.#width - MARGIN.right;
    for (const alpha of [0, 0.25, 0.5, 0.75, 1]) {
      const x = this.#x(alpha);
      yield svg("line", { class: "igw-tick", x1: x, x2: x, y1: bottom, y2: bottom + 4 });
      yield svg("text", { x, y: bottom + 15, "text-anchor": "middle" }, String(alpha));
    }
    const middle = this.#x(0.5);
    yield svg("text", { x: middle, y: HEIGHT - 3, "text-anchor": "middle" }, "α");
    yield svg("line", { class: "igw-tick", x1: MARGIN.left, x2: end, y1: bottom, y2: bottom });
    if (this.#picture === undefined) return;
    if (!this.#isPath) {
      const at = { x: middle, y: HEIGHT / 2, "text-anchor": "middle" };
      yield svg("text", at, "No path: α is the share of the draws taken");
      return;
    }
    const [left, right] = [this.#left, this.#right];
    for (const [value, text] of labelled(left.ticks)) {
      const y = left.at(value);
      yield svg("line", { class: "igw-gridline", x1: MARGIN.left, x2: end, y1: y, y2: y });
      yield svg("text", tick(MARGIN.left - 6, y, "end", "output"), text);
    }
    for (const [value, text] of labelled(right.ticks))
      yield svg("text", tick(end + 6, right.at(value), "start", "density"), text);
  }

  *#lines({ outputs, density }: Plan): Generator<SVGElement> {
    const [left, right] = [this.#left, this.#right];
    const line = (points: readonly Point[], axis: Axis) =>
      points.map(([alpha, value]) => `${fix(this.#x(alpha))} ${fix(axis.at(value))}`);
    const curve = line(outputs, left);
    yield svg("path", { class: "igw-density", d: `M${line(density, right).join("L")}` });
    yield svg("path", { class: "igw-output", d: `M${curve.join("L")}` });
    // A line of no length with round ends is a dot: one element for all of them.
    yield svg("path", { class: "igw-dots", d: curve.map((at) => `M${at}h0`).join("") });
  }

  #listen(choose: (alpha: number) => void, settle: () => void, signal: AbortSignal): void {
    const frame = this.#frame;
    const point = (event: PointerEvent) => {
      const box = frame.getBoundingClientRect();
      const from = (MARGIN.left / this.#width) * box.width;
      const span = box.width - ((MARGIN.left + MARGIN.right) / this.#width) * box.width;
      const alpha = (event.clientX - box.left - from) / span;
      choose(Math.round(Math.min(Math.max(alpha, 0), 1) * 1000) / 1000);
    };
    listen(
      frame,
      "pointerdown",
      (event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        frame.setPointerCapture(event.pointerId);
        point(event);
      },
      signal,
    );
    listen(
      frame,
      "pointermove",
      (event) => frame.hasPointerCapture(event.pointerId) && point(event),
      signal,
    );
    for (const end of ["pointerup", "pointercancel"] as const) listen(frame, end, settle, signal);
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

function tick(x: number, y: number, anchor: string, kind: string) {
  return { x, y, "text-anchor": anchor, "dominant-baseline": "central", class: `igw-on-${kind}` };
}

function fix(pixel: number): string {
  return pixel.toFixed(2);
}
