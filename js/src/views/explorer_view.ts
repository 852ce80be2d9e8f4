import { ColorBar } from "../charts/color_bar.js";
import { CompletenessMeter } from "../charts/completeness.js";
import { Histogram } from "../charts/histogram.js";
import { PathChart } from "../charts/path_chart.js";
import { FullScreen } from "../controls/full_screen.js";
import { Modes } from "../controls/modes.js";
import { Notice } from "../controls/notice.js";
import { Player } from "../controls/player.js";
import { Status } from "../controls/status.js";
import type { Panes } from "../core/panes.js";
import type { Picture, Store } from "../core/store.js";
import { LOOKS, type Look, type Traits } from "../core/traits.js";
import { ColourPicker } from "../image/colour_picker.js";
import { Interpolation } from "../image/interpolation.js";
import { Overlay } from "../image/overlay.js";
import { UnchangedPixels } from "../image/unchanged_pixels.js";
import { Gallery } from "../panels/baselines.js";
import { Compare } from "../panels/compare.js";
import { Convergence } from "../panels/convergence.js";
import { Dependence } from "../panels/dependence.js";
import { Exports } from "../panels/exports.js";
import { SelectionPanel } from "../panels/selection.js";
import { Regions } from "../panels/selections.js";
import { tieRegions } from "../panels/synced_selections.js";
import { assign, write } from "../util/dom.js";
import { percent, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { FrameLoop } from "../util/timing.js";
import { ComparisonView } from "./comparison.js";
import { type Layout, layOut } from "./layout.js";
import { newest } from "./pane_view.js";
import { MODES } from "./region_tool.js";
import { Zoom } from "./zoom.js";

/** 256 RGB colours; until they have come there is nothing to paint with. */
const LUT_BYTES = 256 * 3;

/** One view of an image explorer: hands what the store knows to the parts, once a frame. */
export class ImageView {
  readonly #store: Store;
  readonly #status: Status;
  readonly #interpolation: Interpolation;
  readonly #overlay: Overlay;
  readonly #colors = new ColorBar();
  readonly #chart: PathChart;
  readonly #meter = new CompletenessMeter();
  readonly #aids: SelectionPanel;
  readonly #layout: Layout;
  readonly #beside: ComparisonView;
  readonly #histogram: Histogram;
  readonly #convergence: Convergence;
  readonly #notAsked: UnchangedPixels;
  readonly #dependence: Dependence;
  #shown: Picture | undefined;
  #colorsShown: DataView | undefined;
  #lut: Uint8Array | undefined;

  constructor(panes: Panes, signal: AbortSignal) {
    const { main: store, traits } = panes;
    const frames = new FrameLoop(() => this.#paint(), signal);
    const redraw = () => frames.request();
    this.#store = store;
    this.#status = new Status(() => store.cancel(), signal);
    const regions = new Regions();
    tieRegions(regions, traits, signal);
    const zoom = new Zoom(signal);
    this.#interpolation = new Interpolation(zoom, signal);
    this.#histogram = new Histogram(traits, signal);
    this.#convergence = new Convergence(traits, () => store.cancel(), signal);
    this.#overlay = new Overlay(regions, zoom, redraw, signal);
    this.#beside = new ComparisonView(panes, regions, zoom, redraw, signal);
    this.#notAsked = new UnchangedPixels(redraw, signal);
    this.#dependence = new Dependence(store, zoom, redraw, signal);
    const picker = new ColourPicker(store, this.#overlay, signal);
    this.#aids = new SelectionPanel(regions, traits, signal);
    this.#chart = new PathChart(
      (alpha) => traits.set("alpha", alpha),
      () => traits.flush(),
      signal,
    );
    this.#layout = layOut(
      {
        tools: [this.#modes(signal), zoom.controls, this.#notAsked.control],
        player: new Player(traits, signal).element,
        status: this.#status.element,
        notice: new Notice(traits, signal).element,
        interpolation: this.#interpolation.element,
        title: this.#interpolation.title,
        overlay: this.#overlay.element,
        readout: this.#overlay.readout,
        colors: this.#colors.element,
        chart: this.#chart.element,
        meter: this.#meter.element,
        aids: [this.#histogram.element, ...this.#aids.elements, this.#convergence.element],
        panes: this.#beside.element,
        // What takes a kernel to answer.
        panels: traits.isRecording
          ? []
          : [
              this.#dependence.element,
              new Gallery(store, () => picker.begin(this.element), signal).element,
              new Compare(traits, signal).element,
              new Exports(store, signal).element,
            ],
      },
      traits,
      signal,
    );
    this.#layout.tools.append(new FullScreen(this.element, signal).element);
    // Keys pressed here are meant for the widget, not for the notebook's shortcuts.
    listen(this.element, "keydown", (event) => event.stopPropagation(), signal);
    store.subscribe(redraw, signal);
    traits.on([...LOOKS, "_lut", "_audits"], redraw, signal);
    this.#paint();
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
    this.#beside.linkPointers(this.#overlay);
    const scale = this.#beside.draw(picture, look);
    this.#overlay.draw(look, scale);
    this.#dependence.draw(picture, look, scale, this.#lut);
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
    this.#beside.paint(this.#lut);
    this.#colors.paint(this.#lut);
    this.#histogram.paint(this.#lut);
  }

  #caption(picture: Picture | undefined, look: Look, scale: number, isStale: boolean): void {
    const { element, stale, collected, clipped } = this.#layout;
    assign(element, { "data-stale": isStale });
    write(stale, picture === undefined ? "no picture yet" : "previous picture");
    assign(stale, { hidden: !isStale });
    if (picture === undefined) return;
    const { begin, plan, map } = picture;
    this.#notAsked.show(begin, this.#overlay.layer);
    const sum = significant(plan.sum);
    write(collected, `collected up to alpha: ${significant(map.collected(look.alpha))} of ${sum}`);
    write(clipped, `${percent(map.clippedShare(scale))} clipped`);
    this.#colors.show(scale, begin.outputName);
  }
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
