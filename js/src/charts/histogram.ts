import type { Picture } from "../core/store.js";
import type { Traits } from "../core/traits.js";
import { assign, div, html, paragraph, span, svg, write } from "../util/dom.js";
import { percent, shorten, significant } from "../util/format.js";
import { captioned } from "../util/parts.js";
import { BINS, binCounts, binValue } from "./bins.js";
import { type Clip, ClipHandles } from "./clip_handles.js";
import { ChartFrame } from "./frame.js";

const HEIGHT = 92;
/** Room at both sides for half a handle. */
const MARGIN = 14;
const MARGINS = { left: MARGIN, right: MARGIN, top: 6, bottom: 16 };
/** The axis ends at this multiple of the usual scale, because tails may be a hundred times as long. */
const BODY = { clip: 99, times: 1.6 };

/** A histogram of the attributions at alpha = 1, in the colours of the map, with handles to clip. */
export class Histogram {
  readonly element: HTMLElement;
  readonly #traits: Traits;
  readonly #bars = Array.from({ length: BINS }, () => svg("rect", { class: "igw-histogram-bar" }));
  readonly #ends = ["start", "middle", "end"].map((anchor) =>
    svg("text", { y: HEIGHT - 3, "text-anchor": anchor }),
  );
  readonly #frame: ChartFrame;
  readonly #handles: ClipHandles;
  readonly #unit = span("igw-unit");
  readonly #words = paragraph("igw-note", "Nothing sampled yet");
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;
  #counts: Uint32Array = new Uint32Array(BINS);
  #clip: Clip = { scale: 0, percentile: 99 };
  #sign = "all";
  #range = 0;

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    const resize = () => {
      this.#layOut();
      this.#mark();
    };
    this.#frame = new ChartFrame("histogram", HEIGHT, MARGINS, resize, signal);
    const { element } = this.#frame;
    element.prepend(svg("g", {}, ...this.#bars));
    element.append(...this.#ends);
    const plot = div("igw-plot", element);
    const choose = (position: number) => this.#choose(position);
    this.#handles = new ClipHandles(plot, { traits, choose, settle: () => this.#settle() }, signal);
    this.element = captioned(
      "igw-panel",
      ["Attribution values", this.#unit, html("span", {}, `height: √ of ${traits.kind.element}s`)],
      plot,
      this.#words,
    );
    this.#layOut();
  }

  /** 256 RGB colours. */
  paint(lut: Uint8Array): void {
    this.#lut = lut;
    this.#colour();
  }

  /** The next `draw` shows it. */
  show(picture: Picture): void {
    this.#picture = picture;
    this.#range = 0;
    write(this.#unit, shorten(picture.begin.outputName, 24));
  }

  /** Called once a frame; cheap if nothing has changed. */
  draw(scale: number, clip: number): void {
    const sign = this.#traits.get("sign");
    const isSame =
      scale === this.#clip.scale && clip === this.#clip.percentile && sign === this.#sign;
    if (this.#picture === undefined || (isSame && this.#range > 0)) return;
    this.#clip = { scale, percentile: clip };
    this.#sign = sign;
    this.#settle();
  }

  /** The axis must not move under a finger that drags. */
  #settle(): void {
    if (this.#picture === undefined) return;
    const { map } = this.#picture;
    const range = rangeOf(map.scale(100), map.scale(BODY.clip), this.#clip.scale);
    if (range !== this.#range && !(this.#handles.isDragged && this.#range > 0)) {
      this.#range = range;
      this.#counts = binCounts(map.total, range);
      this.#layOut();
    }
    this.#mark();
    this.#colour();
  }

  /** `position` in widths of the plot. The outer edge stands for all that lies beyond it. */
  #choose(position: number): void {
    if (this.#picture === undefined || this.#clip.scale === 0) return;
    const { width } = this.#frame;
    const half = width / 2;
    const value = (Math.abs(position * width - half) / (half - MARGIN)) * this.#range;
    const found = value >= this.#range ? 100 : this.#picture.map.percentileOf(value);
    this.#handles.set(Math.round(2 * found) / 2);
  }

  #x(value: number): number {
    return this.#frame.x((value / (this.#range || 1) + 1) / 2);
  }

  #layOut(): void {
    const { left, right, top, bottom, width: whole } = this.#frame;
    this.#frame.draw(this.#frame.below());
    const most = Math.sqrt(Math.max(...this.#counts, 1));
    const width = (right - left) / BINS;
    this.#bars.forEach((bar, bin) => {
      const height = (Math.sqrt(this.#counts[bin] ?? 0) / most) * (bottom - top);
      const x = (left + bin * width).toFixed(2);
      assign(bar, { x, width: (width * 0.92).toFixed(2), y: bottom - height, height });
    });
    const isCut = this.#range < (this.#picture?.map.scale(100) ?? 0);
    const edge = significant(this.#range, 2);
    const texts = [`${isCut ? "≤ " : ""}−${edge}`, "0", `${isCut ? "≥ " : ""}+${edge}`];
    this.#ends.forEach((text, i) => {
      assign(text, { x: [0, whole / 2, whole][i] ?? 0 });
      write(text, this.#range > 0 ? (texts[i] ?? "") : "");
    });
  }

  #mark(): void {
    if (this.#picture === undefined) return;
    const { map, begin } = this.#picture;
    const { scale, percentile } = this.#clip;
    const words =
      scale > 0
        ? `${Number(percentile.toFixed(1))}%: ${percent(map.clippedShare(scale))} of ${this.#traits.kind.element}s are clipped at ±${significant(scale, 2)}`
        : "Every attribution is zero";
    write(this.#words, words);
    const shown = Math.min(scale, this.#range);
    const places = [-shown, shown].map((value) => this.#x(value) / this.#frame.width);
    this.#handles.show(this.#clip, places, words);
    const most = significant(map.scale(100), 2);
    const label = `histogram of ${begin.display.size} attribution values, the largest ±${most}; ${words}`;
    assign(this.#frame.element, { "aria-label": label });
  }

  /** Colours as the renderers do: filtered by sign, then clamped to the ends of the colour map. */
  #colour(): void {
    const { scale } = this.#clip;
    this.#bars.forEach((bar, bin) => {
      const value = binValue(bin, this.#range);
      const isOff =
        (this.#sign === "positive" && value < 0) || (this.#sign === "negative" && value > 0);
      const s = isOff || scale === 0 ? 0 : Math.min(Math.max(value / scale, -1), 1);
      const at = 3 * Math.floor((s * 0.5 + 0.5) * 255 + 0.5);
      const rgb = this.#lut?.subarray(at, at + 3);
      assign(bar, { fill: rgb === undefined ? "none" : `rgb(${rgb.join(" ")})` });
    });
  }
}

function rangeOf(largest: number, usual: number, scale: number): number {
  return Math.min(largest, Math.max(BODY.times * usual, scale)) || 1;
}
