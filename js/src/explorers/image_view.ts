import { Aids } from "../charts/aids.js";
import { ColorBar } from "../charts/color_bar.js";
import { CompletenessMeter } from "../charts/completeness.js";
import { Convergence } from "../charts/convergence.js";
import { Histogram } from "../charts/histogram.js";
import { PathChart } from "../charts/path_chart.js";
import { FullScreen } from "../controls/full_screen.js";
import { Modes } from "../controls/modes.js";
import { Notice } from "../controls/notice.js";
import { Player } from "../controls/player.js";
import { Status } from "../controls/status.js";
import { assign, html, write } from "../dom.js";
import { percent, significant } from "../format.js";
import { Compare } from "../panels/compare.js";
import { Exports } from "../panels/exports.js";
import { Gallery } from "../panels/gallery.js";
import type { Panes } from "../panes.js";
import { comparable, Difference } from "../pictures/difference.js";
import { Interpolation } from "../pictures/interpolation.js";
import { NotAsked } from "../pictures/not_asked.js";
import { Overlay } from "../pictures/overlay.js";
import type { Pixel } from "../pictures/pixel_cursor.js";
import { MODES } from "../pictures/region_tool.js";
import { Regions } from "../pictures/regions.js";
import { Zoom } from "../pictures/zoom.js";
import type { Picture, Store } from "../store.js";
import { FrameLoop } from "../timing.js";
import { LOOKS, type Look, type Traits } from "../traits.js";
import { type Layout, layOut } from "./image_layout.js";
import { newest, PaneView } from "./pane_view.js";

/** As many as the kernel keeps. */
const MOST_REGIONS = 32;
/** 256 RGB colours; until they have come there is nothing to paint with. */
const LUT_BYTES = 256 * 3;

/** One view of an image explorer: hands what the store knows to the parts, once a frame. */
export class ImageView {
  readonly #store: Store;
  readonly #status: Status;
  readonly #zoom: Zoom;
  readonly #interpolation: Interpolation;
  readonly #overlay: Overlay;
  readonly #colors = new ColorBar();
  readonly #chart: PathChart;
  readonly #meter = new CompletenessMeter();
  readonly #aids: Aids;
  readonly #layout: Layout;
  readonly #panes: Panes;
  readonly #regions: Regions;
  readonly #signal: AbortSignal;
  readonly #redraw: () => void;
  readonly #difference: Difference;
  readonly #histogram: Histogram;
  readonly #convergence: Convergence;
  readonly #beside = html("div", { class: "igw-panes", hidden: true });
  readonly #others: { readonly view: PaneView; readonly life: AbortController }[] = [];
  readonly #notAsked = new NotAsked();
  readonly #hatch = html("input", { type: "checkbox" });
  readonly #hatched = html("span");
  #pixel: Pixel | undefined;
  #shown: Picture | undefined;
  #colorsShown: DataView | undefined;
  #lut: Uint8Array | undefined;
  #picking: AbortController | undefined;

  constructor(panes: Panes, signal: AbortSignal) {
    const { main: store, traits } = panes;
    const frames = new FrameLoop(() => this.#paint(), signal);
    const redraw = () => frames.request();
    this.#store = store;
    this.#status = new Status(() => store.cancel(), signal);
    const regions = new Regions();
    tie(regions, traits, signal);
    this.#panes = panes;
    this.#regions = regions;
    this.#signal = signal;
    this.#redraw = redraw;
    this.#zoom = new Zoom(signal);
    this.#interpolation = new Interpolation(this.#zoom, signal);
    this.#difference = new Difference(this.#zoom, signal);
    this.#histogram = new Histogram(traits, signal);
    this.#convergence = new Convergence(traits, () => store.cancel(), signal);
    this.#overlay = new Overlay(regions, this.#zoom, redraw, signal);
    this.#aids = new Aids(regions, traits, signal);
    this.#chart = new PathChart(
      (alpha) => traits.set("alpha", alpha),
      () => traits.flush(),
      signal,
    );
    this.#layout = layOut(
      {
        tools: [this.#modes(signal), this.#zoom.controls, this.#hatching(signal)],
        player: new Player(traits, signal).element,
        status: this.#status.element,
        notice: new Notice(traits, signal).element,
        interpolation: this.#interpolation.element,
        overlay: this.#overlay.element,
        readout: this.#overlay.readout,
        colors: this.#colors.element,
        chart: this.#chart.element,
        meter: this.#meter.element,
        aids: [this.#histogram.element, ...this.#aids.elements, this.#convergence.element],
        panes: this.#beside,
        // What takes a kernel to answer.
        panels: traits.isRecording
          ? []
          : [
              new Gallery(store, () => this.#pick(), signal).element,
              new Compare(traits, signal).element,
              new Exports(store, signal).element,
            ],
      },
      traits,
      signal,
    );
    this.#layout.tools.append(new FullScreen(this.element, signal).element);
    // Keys pressed here are meant for the widget, not for the notebook's shortcuts.
    this.element.addEventListener("keydown", (event) => event.stopPropagation(), { signal });
    store.subscribe(redraw, signal);
    traits.on([...LOOKS, "_lut", "_audits"], redraw, signal);
    panes.subscribe(() => this.#arrange(), signal);
    this.#arrange();
  }

  get element(): HTMLElement {
    return this.#layout.element;
  }

  #paint(): void {
    const { run, isStale, traits } = this.#store;
    const picture = newest(this.#store, this.#shown);
    const look = lookOf(traits);
    this.#paintColors(traits.get("_lut"));
    if (picture !== undefined && picture !== this.#shown) this.#replace(picture);
    this.#linkPointers();
    const scale = this.#paintPanes(picture, look);
    this.#overlay.draw(look, scale);
    this.#interpolation.move(look.alpha);
    this.#chart.move(look.alpha);
    this.#aids.draw(picture, look, this.#overlay.pixel);
    this.#histogram.draw(scale, look.clip);
    this.#convergence.show(run);
    this.#status.show(run, this.#overlay.choice);
    this.#caption(picture, look, scale, isStale);
  }

  /** What depends on the picture alone, and not on how it is looked at. */
  #replace(picture: Picture): void {
    this.#shown = picture;
    this.#interpolation.show(picture.begin);
    this.#overlay.show(picture);
    this.#chart.show(picture);
    this.#histogram.show(picture);
    this.#meter.show(picture);
  }

  /** The other panes, in one scale with this picture, which is returned. */
  #paintPanes(picture: Picture | undefined, look: Look): number {
    const own = picture?.field.scale(look.clip) ?? 0;
    const others = this.#others.map(({ view }) => view.update());
    const scaleOf = (other: Picture | undefined) => other?.field.scale(look.clip) ?? 0;
    const shared = others.filter((one) => picture !== undefined && one && comparable(picture, one));
    const scale = Math.max(own, ...shared.map(scaleOf));
    this.#others.forEach(({ view }, i) => {
      const other = others[i];
      view.draw(look, shared.includes(other) ? scale : scaleOf(other));
    });
    if (others.length > 0) this.#difference.draw(picture, others[0], look, scale, this.#lut);
    return scale;
  }

  /** What is pointed at in one pane is in all. */
  #linkPointers(): void {
    const overlays = [this.#overlay, ...this.#others.map(({ view }) => view.overlay)];
    const moved = overlays.find(({ pixel }) => !areSame(pixel, this.#pixel));
    if (moved === undefined) return;
    this.#pixel = moved.pixel;
    for (const overlay of overlays) if (overlay !== moved) overlay.follow(this.#pixel);
  }

  /** As many panes beside the first as there are stores. */
  #arrange(): void {
    const stores = this.#panes.stores.slice(1);
    for (const { life } of this.#others.splice(stores.length)) life.abort();
    this.#others.forEach(({ view }, i) => {
      if (view.store === stores[i]) return;
      throw new Error("a pane's store lives as long as the pane");
    });
    for (const store of stores.slice(this.#others.length)) {
      const life = new AbortController();
      const end = () => life.abort();
      this.#signal.addEventListener("abort", end, { once: true, signal: life.signal });
      const view = new PaneView(store, this.#regions, this.#zoom, this.#redraw, life.signal);
      if (this.#lut !== undefined) view.overlay.paint(this.#lut);
      life.signal.addEventListener("abort", () => view.element.remove(), { once: true });
      this.#others.push({ view, life });
    }
    const { element } = this.#difference;
    this.#beside.replaceChildren(...this.#others.map(({ view }) => view.element));
    if (this.#others.length > 0) this.#beside.append(element);
    assign(this.#beside, { hidden: this.#others.length === 0 });
    this.#paint();
  }

  #hatching(signal: AbortSignal): HTMLElement {
    this.#hatch.addEventListener("change", () => this.#redraw(), { signal });
    return html(
      "label",
      {
        class: "igw-check",
        title: "Where input and baseline are equal nothing changes, and nothing was asked",
      },
      this.#hatch,
      "hatch what is not asked",
      this.#hatched,
    );
  }

  /** The next click on a picture chooses the colour of the baseline. */
  #pick(): void {
    this.#picking?.abort();
    const life = new AbortController();
    this.#picking = life;
    const { signal } = life;
    const { element, tool } = this.#overlay;
    tool.cancel();
    assign(element, { "data-picking": true });
    signal.addEventListener("abort", () => assign(element, { "data-picking": false }));
    this.#signal.addEventListener("abort", () => life.abort(), { once: true, signal });
    const take = (event: Event) => {
      const { traits, picture } = this.#store;
      const { pixel } = this.#overlay;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (pixel === undefined || picture === undefined) return;
      life.abort();
      const { photo, width } = picture.begin;
      const at = 3 * (pixel.row * width + pixel.column);
      const levels = [...photo.subarray(at, at + 3)].map((v) => v.toString(16).padStart(2, "0"));
      traits.set("baseline", `colour(#${levels.join("")})`);
      traits.flush();
    };
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") life.abort();
      if (event.key === "Enter" && event.target === element) take(event);
    };
    element.addEventListener("click", take, { signal, capture: true });
    // What draws regions leaves alone what is prevented, and hears of keys after what is around it.
    const press = (event: Event) => event.preventDefault();
    element.addEventListener("pointerdown", press, { signal, capture: true });
    this.element.addEventListener("keydown", key, { signal, capture: true });
    element.focus();
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
    for (const { view } of this.#others) view.overlay.paint(this.#lut);
    this.#colors.paint(this.#lut);
    this.#histogram.paint(this.#lut);
  }

  #caption(picture: Picture | undefined, look: Look, scale: number, isStale: boolean): void {
    const { element, stale, collected, clipped } = this.#layout;
    assign(element, { "data-stale": isStale });
    write(stale, picture === undefined ? "no picture yet" : "previous picture");
    assign(stale, { hidden: !isStale });
    if (picture === undefined) return;
    const { begin, plan, field } = picture;
    this.#notAsked.show(begin, this.#overlay.layer, this.#hatch.checked);
    write(this.#hatched, this.#hatch.checked ? ` (${percent(this.#notAsked.share)})` : "");
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
  const isSame = () => JSON.stringify(traits.get("_regions")) === JSON.stringify(regions.get());
  const take = () => {
    const given = traits.get("_regions");
    if (isSame()) return;
    regions.set(given);
    regions.select(given.length - 1);
  };
  take();
  traits.on(["_regions"], take, signal);
  regions.subscribe(() => {
    if (isSame()) return;
    traits.set("_regions", regions.get().slice(-MOST_REGIONS));
    traits.flush();
  }, signal);
}

function areSame(one: Pixel | undefined, other: Pixel | undefined): boolean {
  return one?.column === other?.column && one?.row === other?.row;
}

function lookOf(traits: Traits): Look {
  return {
    alpha: traits.get("alpha"),
    opacity: traits.get("opacity"),
    clip: traits.get("clip"),
    sign: traits.get("sign"),
    ground: traits.get("ground"),
    colormap: traits.get("colormap"),
  };
}
