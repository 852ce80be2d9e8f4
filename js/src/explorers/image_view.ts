import { Aids } from "../charts/aids.js";
import { ColorBar } from "../charts/color_bar.js";
import { CompletenessMeter } from "../charts/completeness.js";
import { PathChart } from "../charts/path_chart.js";
import { Modes } from "../controls/modes.js";
import { Status } from "../controls/status.js";
import { assign, write } from "../dom.js";
import { percent, significant } from "../format.js";
import { Interpolation } from "../pictures/interpolation.js";
import { Overlay } from "../pictures/overlay.js";
import { MODES } from "../pictures/region_tool.js";
import { Regions } from "../pictures/regions.js";
import type { Picture, Store } from "../store.js";
import { FrameLoop } from "../timing.js";
import { LOOKS, type Look, type Traits } from "../traits.js";
import { type Layout, layOut } from "./image_layout.js";

/** As many as the kernel keeps. */
const MOST_REGIONS = 32;
/** 256 RGB colours; until they have come there is nothing to paint with. */
const LUT_BYTES = 256 * 3;

/** One view of an image explorer: hands what the store knows to the parts, once a frame. */
export class ImageView {
  readonly #store: Store;
  readonly #status: Status;
  readonly #interpolation = new Interpolation();
  readonly #overlay: Overlay;
  readonly #colors = new ColorBar();
  readonly #chart: PathChart;
  readonly #meter = new CompletenessMeter();
  readonly #aids: Aids;
  readonly #layout: Layout;
  #shown: Picture | undefined;
  #colorsShown: DataView | undefined;
  #lut: Uint8Array | undefined;

  constructor(store: Store, signal: AbortSignal) {
    const { traits } = store;
    const frames = new FrameLoop(() => this.#paint(), signal);
    const redraw = () => frames.request();
    this.#store = store;
    this.#status = new Status(() => store.cancel(), signal);
    const regions = new Regions();
    tie(regions, traits, signal);
    this.#overlay = new Overlay(regions, redraw, signal);
    this.#aids = new Aids(regions, traits, signal);
    this.#chart = new PathChart(
      (alpha) => traits.set("alpha", alpha),
      () => traits.flush(),
      signal,
    );
    this.#layout = layOut(
      {
        tools: [this.#modes(signal)],
        status: this.#status.element,
        interpolation: this.#interpolation.element,
        overlay: this.#overlay.element,
        readout: this.#overlay.readout,
        colors: this.#colors.element,
        chart: this.#chart.element,
        meter: this.#meter.element,
        aids: this.#aids.elements,
      },
      traits,
      signal,
    );
    // Keys pressed here are meant for the widget, not for the notebook's shortcuts.
    this.element.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
    store.subscribe(redraw, signal);
    traits.on([...LOOKS, "_lut", "_audits"], redraw, signal);
    this.#paint();
  }

  get element(): HTMLElement {
    return this.#layout.element;
  }

  #paint(): void {
    const { picture, run, isStale, traits } = this.#store;
    const look = lookOf(traits);
    this.#paintColors(traits.get("_lut"));
    if (picture !== undefined && picture !== this.#shown) this.#replace(picture);
    const scale = picture?.field.scale(look.clip) ?? 0;
    this.#overlay.draw(look, scale);
    this.#interpolation.move(look.alpha);
    this.#chart.move(look.alpha);
    this.#aids.draw(picture, look, this.#overlay.pixel);
    this.#status.show(run, this.#overlay.choice);
    this.#caption(picture, look, scale, isStale);
  }

  /** What depends on the picture alone, and not on how it is looked at. */
  #replace(picture: Picture): void {
    this.#shown = picture;
    this.#interpolation.show(picture.begin);
    this.#overlay.show(picture);
    this.#chart.show(picture);
    this.#meter.show(picture);
  }

  #modes(signal: AbortSignal): HTMLElement {
    const { tool } = this.#overlay;
    const choose = (mode: (typeof MODES)[number]) => {
      tool.mode = mode;
    };
    return new Modes("a drag on the attribution", MODES, tool.mode, choose, signal).element;
  }

  #paintColors(buffer: DataView): void {
    if (buffer === this.#colorsShown || buffer.byteLength !== LUT_BYTES) return;
    this.#colorsShown = buffer;
    this.#lut = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#overlay.paint(this.#lut);
    this.#colors.paint(this.#lut);
  }

  #caption(picture: Picture | undefined, look: Look, scale: number, isStale: boolean): void {
    const { element, stale, collected, clipped } = this.#layout;
    assign(element, { "data-stale": isStale });
    write(stale, picture === undefined ? "no picture yet" : "previous picture");
    assign(stale, { hidden: !isStale });
    if (picture === undefined) return;
    const { begin, plan, field } = picture;
    const sum = significant(plan.sum);
    write(
      collected,
      `collected up to alpha: ${significant(field.collected(look.alpha))} of ${sum}`,
    );
    write(clipped, `${percent(field.clippedShare(scale))} clipped`);
    this.#colors.show(scale, begin.outputName);
  }
}

/** Regions drawn here are those of every view, and of Python. */
function tie(regions: Regions, traits: Traits, signal: AbortSignal): void {
  const take = () => {
    const given = traits.get("_regions");
    if (JSON.stringify(given) === JSON.stringify(regions.get())) return;
    regions.set(given);
    regions.select(given.length - 1);
  };
  take();
  traits.on(["_regions"], take, signal);
  regions.subscribe(() => {
    if (regions.get() === traits.get("_regions")) return;
    traits.set("_regions", regions.get().slice(-MOST_REGIONS));
    traits.flush();
  }, signal);
}

function lookOf(traits: Traits): Look {
  return {
    alpha: traits.get("alpha"),
    opacity: traits.get("opacity"),
    clip: traits.get("clip"),
    sign: traits.get("sign"),
    colormap: traits.get("colormap"),
  };
}
