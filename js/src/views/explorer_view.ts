import { ColorBar } from "../charts/color_bar.js";
import { CompletenessMeter } from "../charts/completeness.js";
import { Histogram } from "../charts/histogram.js";
import { PathChart } from "../charts/path_chart.js";
import { FullScreen } from "../controls/full_screen.js";
import { type Explained, Help } from "../controls/help.js";
import { Notice } from "../controls/notice.js";
import { Player } from "../controls/player.js";
import { Status } from "../controls/status.js";
import type { Tabs } from "../controls/tabs.js";
import type { Kind, KindView } from "../core/kind.js";
import type { Panes } from "../core/panes.js";
import type { Picture, Store } from "../core/store.js";
import { CORE_TRAITS, fitOf, type Look, type Traits } from "../core/traits.js";
import { BaselineChoice } from "../panels/baseline_choice.js";
import { BaselineMemory } from "../panels/baseline_memory.js";
import { BASELINES_TRAITS, Baselines, type BaselinesTraits } from "../panels/baselines.js";
import { Compare } from "../panels/compare.js";
import { CONVERGENCE_TRAITS, Convergence, type ConvergenceTraits } from "../panels/convergence.js";
import { Exports } from "../panels/exports.js";
import { assign, html, span, write } from "../util/dom.js";
import { fixed, percent } from "../util/format.js";
import { listen } from "../util/life.js";
import { FrameLoop } from "../util/timing.js";
import { benchOf } from "./bench.js";
import { ComparisonView } from "./comparison.js";
import { type Layout, layOut } from "./layout.js";
import { looks } from "./looks.js";
import { firstInWords, lookAt, newest, sumLine } from "./pane_view.js";

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
  readonly #clipped = span("igw-note");
  readonly #cards: HTMLElement | undefined;
  readonly #bench: HTMLElement;
  #shown: Picture | undefined;
  #colorsShown: DataView | undefined;
  #lut: Uint8Array | undefined;

  constructor(panes: Panes, kind: Kind, signal: AbortSignal) {
    const { main: store } = panes;
    const traits = panes.traits as Traits as Traits<ExplorerTraits>;
    const frames = new FrameLoop(() => this.#paint(), signal);
    const redraw = () => frames.request();
    // Parts may ask for a tab while they are made, before there is one.
    let wanted: string | undefined;
    let bench: Tabs | undefined;
    const openTab = (name: string) => {
      wanted = name;
      bench?.open(name);
    };
    const host = { root: this.element, store, traits, redraw, openTab, signal };
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
    const memory = new BaselineMemory(panes.traits, signal);
    const baselines = traits.isRecording ? undefined : new Baselines(host, view.baselines, memory);
    bench = benchOf(
      {
        path: [this.#chart.element, this.#meter.element],
        values: [
          looks(panes.traits, this.#clipped, view.controls.more, signal),
          this.#histogram.element,
        ],
        aids: view.aids,
        panels: view.panels,
        convergence: this.#convergence.element,
        ...(baselines && {
          asking: {
            baselines,
            compare: new Compare(panes.traits, signal).element,
            exports: new Exports(store, signal).element,
          },
        }),
      },
      signal,
    );
    this.#cards = baselines?.strip;
    this.#bench = bench.element;
    const help = new Help(() => this.#explained(), signal);
    this.#layout = layOut(
      this.element,
      {
        kind: view,
        baseline: new BaselineChoice(panes.traits, memory, signal).element,
        status: this.#status.element,
        notice: new Notice(panes.traits, signal).element,
        tools: [help.button, new FullScreen(this.element, signal).element],
        panes: this.#comparison.element,
        player: new Player(panes.traits, signal).element,
        colors: this.#colors.element,
        cards: baselines?.strip,
        bench: bench.element,
        help: help.element,
      },
      panes.traits,
      signal,
    );
    if (wanted !== undefined) bench.open(wanted);
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
    const look = lookAt(picture, traits.look);
    this.#paintColors(traits.get("_lut"));
    if (picture !== undefined && picture !== this.#shown) this.#replace(picture);
    this.#comparison.linkPointers(input === undefined ? [map] : [map, input]);
    const scale = this.#comparison.draw(picture, traits.look);
    map.draw(look, scale);
    input?.move(look.alpha);
    this.#chart.move(look.alpha);
    this.#histogram.draw(scale, look.clip);
    this.#convergence.show(run);
    this.#status.show(run, picture, map.drawnBy);
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
    const { main, title, stale, collected, alpha } = this.#layout;
    assign(this.element, { "data-stale": isStale });
    write(stale, picture === undefined ? "no picture yet" : "previous picture");
    stale.hidden = !isStale;
    const maps = this.#comparison.count;
    assign(main, { "data-comparing": maps > 0, "data-panes": maps + 1 });
    main.style.setProperty(
      "--igw-figures",
      String(maps + 1 + (this.#kind.input === undefined ? 0 : 1)),
    );
    alpha.isOn = this.#comparison.hasPath || picture?.begin.path !== "draws";
    const first = firstInWords(this.#store.traits) || "Attribution";
    write(title, first);
    assign(title, { title: first });
    if (picture === undefined) return;
    const line = sumLine(picture, look.alpha, maps > 0);
    write(collected, line);
    assign(collected, { title: line });
    const { begin, map } = picture;
    write(this.#clipped, `${percent(map.clippedShare(scale, fitOf(look)))} clipped`);
    const note = scaleInWords(look, this.#comparison.shared);
    this.#colors.show(scale, begin.outputName, map.cells?.element, note);
  }

  /** What "?" says of the parts, from top to bottom. */
  #explained(): Explained[] {
    const { alpha } = this.#layout;
    const { map, input } = this.#kind;
    const { element } = this.#store.traits.kind;
    return [
      ...(input ? [[input.element, "the input on its way from the baseline"] as const] : []),
      [map.element, `the map: what each ${element} adds to the output`],
      [alpha.element, "alpha: how much of the path is collected"],
      [this.#colors.element, "what the colours stand for"],
      [map.readout, `the ${element} under the pointer, in numbers`],
      ...(this.#cards
        ? [[this.#cards, "baselines: what the input is compared with"] as const]
        : []),
      [this.#bench, "the bench: one panel at a time, by its tabs"],
    ];
  }
}

/** What the ends of the colour bar stand for. */
function scaleInWords(look: Look, panes: number): string {
  const clip = `${Number(look.clip.toFixed(1))}%`;
  const fit =
    look.scale === "shown"
      ? `fit to what is shown, ${clip} at α = ${fixed(look.alpha, 2)}`
      : `fixed, ${clip} at α = 1`;
  return panes > 1 ? `${fit}, one scale for ${panes} panes` : fit;
}
