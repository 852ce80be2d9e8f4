import { ColorBar } from "../charts/color_bar.js";
import { CompletenessMeter } from "../charts/completeness.js";
import { Histogram } from "../charts/histogram.js";
import { PathChart } from "../charts/path_chart.js";
import { FullScreen } from "../controls/full_screen.js";
import { Notice } from "../controls/notice.js";
import { Player } from "../controls/player.js";
import { Status } from "../controls/status.js";
import type { Kind, KindView, Part } from "../core/kind.js";
import type { Panes } from "../core/panes.js";
import type { Picture, Store } from "../core/store.js";
import { CORE_TRAITS, type Look, type Traits } from "../core/traits.js";
import { BASELINES_TRAITS, Baselines, type BaselinesTraits } from "../panels/baselines.js";
import { Compare } from "../panels/compare.js";
import { CONVERGENCE_TRAITS, Convergence, type ConvergenceTraits } from "../panels/convergence.js";
import { Exports } from "../panels/exports.js";
import { assign, html, write } from "../util/dom.js";
import { percent, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { FrameLoop } from "../util/timing.js";
import { ComparisonView } from "./comparison.js";
import { type Layout, layOut } from "./layout.js";
import { newest } from "./pane_view.js";

/** The traits that the view of every kind needs. */
export const EXPLORER_TRAITS = { ...CORE_TRAITS, ...BASELINES_TRAITS, ...CONVERGENCE_TRAITS };
export type ExplorerTraits = BaselinesTraits & ConvergenceTraits;

/** One view of an explorer of any kind: draws its parts from the store, at most once a frame. */
export class ExplorerView {
  readonly element = html("div", { class: "igw", "data-lm-suppress-shortcuts": "true" });
  readonly #store: Store;
  readonly #kind: KindView;
  readonly #status: Status;
  readonly #colors: ColorBar;
  readonly #chart: PathChart;
  readonly #meter = new CompletenessMeter();
  readonly #layout: Layout;
  readonly #comparison: ComparisonView;
  readonly #histogram: Histogram;
  readonly #convergence: Convergence;
  #shown: Picture | undefined;
  #colorsShown: DataView | undefined;
  #lut: Uint8Array | undefined;

  constructor(panes: Panes, kind: Kind, signal: AbortSignal) {
    const { main: store } = panes;
    const traits = panes.traits as Traits as Traits<ExplorerTraits>;
    const frames = new FrameLoop(() => this.#paint(), signal);
    const redraw = () => frames.request();
    const host = { root: this.element, store, traits, redraw, signal };
    const view = kind.view(host as never);
    this.#store = store;
    this.#kind = view;
    this.#status = new Status(() => store.cancel(), signal);
    this.#colors = new ColorBar(kind.element);
    this.#histogram = new Histogram(panes.traits, signal);
    this.#convergence = new Convergence(traits, () => store.cancel(), signal);
    this.#comparison = new ComparisonView(panes, view, redraw, signal);
    this.#chart = new PathChart(
      (alpha) => traits.set("alpha", alpha),
      () => traits.flush(),
      signal,
    );
    this.#layout = layOut(
      this.element,
      {
        kind: view,
        player: new Player(panes.traits, signal).element,
        status: this.#status.element,
        notice: new Notice(panes.traits, signal).element,
        colors: this.#colors.element,
        chart: this.#chart.element,
        meter: this.#meter.element,
        aids: [this.#histogram.element, ...elementsOf(view.aids), this.#convergence.element],
        panes: this.#comparison.element,
        // These need a kernel.
        panels: traits.isRecording
          ? []
          : [
              ...elementsOf(view.panels),
              new Baselines(host, view.baselines).element,
              new Compare(panes.traits, signal).element,
              new Exports(store, signal).element,
            ],
      },
      panes.traits,
      signal,
    );
    this.#layout.tools.append(new FullScreen(this.element, signal).element);
    // Keys pressed here must not trigger shortcuts of the notebook.
    listen(this.element, "keydown", (event) => event.stopPropagation(), signal);
    store.subscribe(redraw, signal);
    panes.traits.on([...panes.traits.looks, "_lut"], redraw, signal);
    this.#paint();
  }

  #paint(): void {
    const { run, isStale, traits } = this.#store;
    const { map, input, aids, panels } = this.#kind;
    const picture = newest(this.#store, this.#shown);
    const { look } = traits;
    this.#paintColors(traits.get("_lut"));
    if (picture !== undefined && picture !== this.#shown) this.#replace(picture);
    this.#comparison.linkPointers(map);
    const scale = this.#comparison.draw(picture, look);
    map.draw(look, scale);
    input?.move(look.alpha);
    this.#chart.move(look.alpha);
    this.#histogram.draw(scale, look.clip);
    this.#convergence.show(run);
    this.#status.show(run, map.drawnBy);
    const frame = { picture, look, scale, lut: this.#lut, pointed: map.pointed };
    for (const part of [...aids, ...panels]) part.draw?.(frame);
    this.#caption(picture, look, scale, isStale);
  }

  /** Draws what depends on the picture alone, and not on the looks. */
  #replace(picture: Picture): void {
    this.#shown = picture;
    this.#kind.input?.show(picture.begin);
    for (const part of [this.#kind.map, this.#chart, this.#histogram, this.#meter])
      part.show(picture);
  }

  #paintColors(buffer: DataView): void {
    if (buffer === this.#colorsShown) return;
    this.#colorsShown = buffer;
    const lut = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#lut = lut;
    for (const part of [this.#kind.map, this.#comparison, this.#colors, this.#histogram])
      part.paint(lut);
  }

  #caption(picture: Picture | undefined, look: Look, scale: number, isStale: boolean): void {
    const { stale, collected, clipped } = this.#layout;
    assign(this.element, { "data-stale": isStale });
    write(stale, picture === undefined ? "no picture yet" : "previous picture");
    stale.hidden = !isStale;
    if (picture === undefined) return;
    const { begin, plan, map } = picture;
    const sum = significant(plan.sum);
    write(collected, `collected up to alpha: ${significant(map.collected(look.alpha))} of ${sum}`);
    write(clipped, `${percent(map.clippedShare(scale))} clipped`);
    this.#colors.show(scale, begin.outputName);
  }
}

function elementsOf(parts: readonly Part[]): HTMLElement[] {
  return parts.flatMap(({ elements }) => elements);
}
