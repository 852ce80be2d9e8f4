import { ColorBar } from "../charts/color_bar.js";
import type { PanelMaps, Sample } from "../core/protocol.js";
import type { Picture, Store } from "../core/store.js";
import type { Look, Dependence as State, Traits } from "../core/traits.js";
import { areSame, StaticMap } from "../image/static_map.js";
import { assign, html, write } from "../util/dom.js";
import { percent, shorten, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import type { Zoom } from "../views/zoom.js";

type Ready = Extract<State, { readonly kind: "ready" }>;

/** What is drawn: both maps as numbers, and what was said of them. */
interface Shown {
  readonly state: Ready;
  readonly maps: PanelMaps;
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

const DEFINITION =
  "the root of the sum of variances over the baselines, over the root mean square size of the maps";
const EXTREMES =
  "0%: the same map whatever the baseline. 100%: two maps have nothing in common. Above: they contradict.";
/** From next to nothing to dark in one hue, that of neither end of the usual colour maps. */
const LIGHT = [244, 240, 250] as const;
const DARK = [63, 0, 125] as const;

/** The same question with several baselines: what the maps have in common, and how far they are apart. */
export class Dependence {
  readonly element: HTMLDetailsElement;
  readonly #store: Store;
  readonly #traits: Traits;
  readonly #sentence = html("p", { class: "igw-sentence", title: DEFINITION, hidden: true });
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite" });
  readonly #progress = html("progress", { "aria-label": "baselines asked", hidden: true });
  readonly #result = html("div", { class: "igw-panes", hidden: true });
  readonly #mean: StaticMap;
  readonly #deviation: StaticMap;
  readonly #bar = new ColorBar(true);
  readonly #colors = sequential();
  readonly #rows = html("tbody");
  readonly #method = html("p", { class: "igw-note" });
  #shown: Shown | undefined;
  /** All that the pictures depend on: where nothing of it has changed, nothing is drawn. */
  #drawn: readonly unknown[] = [];

  /** `redraw` is called when there is news. */
  constructor(store: Store, zoom: Zoom, redraw: () => void, signal: AbortSignal) {
    this.#store = store;
    this.#traits = store.traits;
    this.#mean = new StaticMap(zoom, signal);
    this.#deviation = new StaticMap(zoom, signal, this.#bar.element);
    this.#bar.paint(this.#colors);
    this.#result.append(
      this.#mean.element,
      this.#deviation.element,
      table(this.#rows, this.#method),
    );
    this.element = html(
      "details",
      { class: "igw-fold igw-dependence" },
      html("summary", {}, "How much does this depend on the baseline?"),
      this.#sentence,
      html("div", { class: "igw-row" }, this.#note, this.#progress),
      this.#result,
    );
    const follow = () => {
      this.element.open = this.#traits.get("show_dependence") === true;
      redraw();
    };
    const choose = () => {
      this.#traits.set("show_dependence", this.element.open);
      this.#traits.flush();
    };
    listen(this.element, "toggle", choose, signal);
    this.#traits.on(["show_dependence"], follow, signal);
    this.#traits.on(["_dependence"], redraw, signal);
    follow();
  }

  /** `scale` and `lut` are those of the first picture, beside which both are seen. */
  draw(picture: Picture | undefined, look: Look, scale: number, lut: Uint8Array | undefined): void {
    if (!this.element.open) return;
    const state = this.#traits.get("_dependence");
    this.#tell(state);
    if (state.kind === "ready") this.#take(state);
    const shown = this.#shown;
    const fits = shown !== undefined && picture !== undefined && isOf(shown.maps, picture);
    const isStale = shown?.state !== state || !this.#isAsked(shown.state);
    assign(this.#result, { hidden: !fits || lut === undefined, "data-stale": isStale });
    assign(this.#sentence, { hidden: !fits || isStale });
    if (!fits || lut === undefined) return;
    const { sign, opacity, ground } = look;
    const asked = [shown, picture.begin, sign, opacity, ground, scale, lut];
    if (areSame(asked, this.#drawn)) return;
    this.#drawn = asked;
    const tint = { lut, scale, sign, opacity, ground };
    this.#mean.draw(picture.begin, shown.mean, tint);
    // It has no sign that could be chosen.
    const unsigned = { ...tint, sign: "all", lut: this.#colors } as const;
    this.#deviation.draw(picture.begin, shown.deviation, unsigned);
    this.#bar.show(scale, picture.begin.outputName);
    this.#caption(shown, scale);
  }

  #tell(state: State): void {
    const isBusy = state.kind === undefined || state.kind === "computing";
    assign(this.#progress, { hidden: !isBusy });
    if (state.kind === "computing" && state.total > 0)
      assign(this.#progress, { max: state.total, value: state.done });
    else for (const name of ["max", "value"]) this.#progress.removeAttribute(name);
    write(this.#note, inWords(state));
    assign(this.#note, { "data-state": state.kind ?? "asked" });
    if (state.kind === "ready") write(this.#sentence, said(state));
  }

  /** Nothing is taken until the maps have come, so that what is seen belongs together. */
  #take(state: Ready): void {
    if (state === this.#shown?.state) return;
    const maps = this.#store.maps("dependence", state.number);
    const { mean, standard_deviation } = maps?.maps ?? {};
    if (maps === undefined || mean === undefined || standard_deviation === undefined) return;
    const [average, deviation] = [mean, standard_deviation].map(valuesOf) as [
      Float32Array,
      Float32Array,
    ];
    this.#shown = { state, maps, mean: average, deviation };
    this.#rows.replaceChildren(...rowsOf(state));
    const { output, rules } = state;
    write(this.#method, `F(x) is ${significant(output)}; ${rules.join(" or ")} steps each`);
  }

  /** The kernel hears of a wish a little later. */
  #isAsked({ asked }: Ready): boolean {
    return (["target", "output", "channel"] as const).every(
      (name) => asked[name] === this.#traits.get(name),
    );
  }

  #caption({ state, deviation }: Shown, scale: number): void {
    const over = `over ${state.rows.length} baselines`;
    const above = deviation.reduce((count, value) => count + (value > scale ? 1 : 0), 0);
    const clipped = `${percent(above / deviation.length)} clipped`;
    this.#mean.write(
      "What stays: the mean",
      `${over}, at α = 1, in the colours and the scale of the attribution above`,
      `mean of the attribution ${over}`,
    );
    this.#deviation.write(
      "What does not: the standard deviation",
      `${over}, at α = 1, in the same scale; ${clipped}`,
      `standard deviation of the attribution ${over}`,
    );
  }
}

/** Where maps contradict, no more than all of it depends on the baseline. */
function said({ dependence, coarse, patch }: Ready): string {
  const [pixels, patches] = [dependence, coarse].map((one) => percent(Math.min(one, 1), 0));
  return `${pixels} of this map depends on the baseline, and ${patches} of its sums over patches of ${patch} × ${patch} pixels`;
}

function inWords(state: State): string {
  switch (state.kind) {
    case "ready":
      return EXTREMES;
    case "failed":
      return `Not worked out: ${shorten(state.message, 400)}`;
    case "computing":
      return state.total > 0
        ? `asking the model: ${state.done} of ${state.total} evaluations`
        : "waiting for its turn with the model…";
    default:
      return "asking the model…";
  }
}

function table(rows: HTMLElement, note: HTMLElement): HTMLElement {
  const heads = ["baseline", "F(x′)", "sum", "of the variance"];
  const head = html("tr", {}, ...heads.map((text) => html("th", { scope: "col" }, text)));
  // Keys can scroll only what can have the focus.
  const label = "baselines that were asked";
  const scrolled = { class: "igw-numbers", role: "region", tabindex: 0, "aria-label": label };
  return html("div", scrolled, html("table", {}, html("thead", {}, head), rows), note);
}

function rowsOf({ rows }: Ready): HTMLElement[] {
  return rows.map(({ name, output, sum, share }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row", title: shorten(name, 200) }, shorten(name, 26)),
      html("td", {}, significant(output)),
      html("td", {}, significant(sum)),
      html("td", {}, percent(share, 0)),
    ),
  );
}

function isOf({ size }: PanelMaps, { begin }: Picture): boolean {
  return begin.display.size === size;
}

function valuesOf({ numbers, scale }: Sample): Float32Array {
  return Float32Array.from(numbers, (number) => number * scale);
}

/** As a table of 256 colours, the upper half of which is used. */
function sequential(): Uint8Array {
  const lut = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const t = Math.max(0, (i - 128) / 127);
    lut.set(
      LIGHT.map((light, channel) => light + ((DARK[channel] ?? 0) - light) * t),
      3 * i,
    );
  }
  return lut;
}
