import { ColorBar } from "../charts/color_bar.js";
import type { Frame, Host, Part, StaticMap } from "../core/kind.js";
import type { PanelMaps, Sample } from "../core/protocol.js";
import type { Settings } from "../core/settings.js";
import type { Picture, Store } from "../core/store.js";
import {
  either,
  flag,
  list,
  number,
  offered,
  oneOf,
  record,
  text,
  texts,
  type ValuesOf,
  whole,
  writable,
} from "../core/trait_table.js";
import type { CoreTraits, Traits } from "../core/traits.js";
import { Changes } from "../util/changes.js";
import { assign, div, html, paragraph, write } from "../util/dom.js";
import { percent, shorten, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { fold, numbers } from "../util/parts.js";

/** State of the computation of how much the map depends on the baseline; {} if it was not requested. */
export type Dependence =
  | { readonly kind?: undefined }
  | { readonly kind: "computing"; readonly done: number; readonly total: number }
  | { readonly kind: "failed"; readonly message: string }
  | {
      readonly kind: "ready";
      /** The number of its maps. */
      readonly number: number;
      readonly asked: Pick<Settings, "target" | "output" | "channel">;
      readonly dependence: number;
      /** Of sums over patches of so many elements each way. */
      readonly coarse: number;
      readonly patch: number;
      readonly output: number;
      readonly rules: readonly string[];
      readonly rows: readonly {
        readonly name: string;
        readonly output: number;
        readonly sum: number;
        /** Of the variance. */
        readonly share: number;
      }[];
    };

const ready = record({
  kind: oneOf("ready"),
  number: whole,
  asked: record({ target: either(whole, text), output: text, channel: text }),
  dependence: number,
  coarse: number,
  patch: number,
  output: number,
  rules: texts,
  rows: list(record({ name: text, output: number, sum: number, share: number })),
});
export const DEPENDENCE_TRAITS = {
  /** Whether the kernel is to compute it, and the panel is open. */
  show_dependence: writable<boolean>("flag", flag, false),
  _dependence: offered<Dependence>(
    either(
      record({ kind: oneOf("computing"), done: number, total: number }),
      record({ kind: oneOf("failed"), message: text }),
      ready,
      record({}, { kind: oneOf(undefined) }),
    ),
    {},
  ),
};
export type DependenceTraits = CoreTraits & ValuesOf<typeof DEPENDENCE_TRAITS>;
type State = Dependence;

type Ready = Extract<State, { readonly kind: "ready" }>;

/** What is drawn: both maps as floats, and the state that they belong to. */
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
/** A sequential scale in a hue of its own, unlike the ends of the usual colour maps. */
const LIGHT = [244, 240, 250] as const;
const DARK = [63, 0, 125] as const;

/** Mean and standard deviation of the maps over several baselines. */
export class DependencePanel implements Part {
  readonly elements: readonly HTMLElement[];
  readonly #fold: HTMLDetailsElement;
  readonly #store: Store;
  readonly #traits: Traits<DependenceTraits>;
  readonly #sentence = html("p", { class: "igw-sentence", title: DEFINITION, hidden: true });
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite" });
  readonly #progress = html("progress", { "aria-label": "baselines asked", hidden: true });
  readonly #result = html("div", { class: "igw-panes", hidden: true });
  readonly #mean: StaticMap;
  readonly #deviation: StaticMap;
  readonly #bar: ColorBar;
  readonly #patches: (size: number) => string;
  readonly #colors = sequential();
  readonly #rows = html("tbody");
  readonly #method = paragraph("igw-note");
  #shown: Shown | undefined;
  readonly #changes = new Changes();

  /** `patches` describes patches of a size, over which sums are compared. */
  constructor(
    { store, traits, redraw, signal }: Host<DependenceTraits>,
    staticMap: (...below: Node[]) => StaticMap,
    patches: (size: number) => string,
  ) {
    this.#store = store;
    this.#traits = traits;
    this.#patches = patches;
    this.#bar = new ColorBar(traits.kind.element, true);
    this.#mean = staticMap();
    this.#deviation = staticMap(this.#bar.element);
    this.#bar.paint(this.#colors);
    this.#result.append(
      this.#mean.element,
      this.#deviation.element,
      numbers(
        ["baseline", "F(x′)", "sum", "of the variance"],
        "baselines that were asked",
        this.#rows,
        this.#method,
      ),
    );
    this.#fold = fold(
      "igw-dependence",
      "How much does this depend on the baseline?",
      this.#sentence,
      div("igw-row", this.#note, this.#progress),
      this.#result,
    );
    const follow = () => {
      this.#fold.open = this.#traits.get("show_dependence") === true;
      redraw();
    };
    const choose = () => {
      this.#traits.set("show_dependence", this.#fold.open);
      this.#traits.flush();
    };
    this.elements = [this.#fold];
    listen(this.#fold, "toggle", choose, signal);
    this.#traits.on(["show_dependence"], follow, signal);
    this.#traits.on(["_dependence"], redraw, signal);
    follow();
  }

  /** Uses the scale and the colours of the first pane, to be compared with it. */
  draw({ picture, look, scale, lut }: Frame): void {
    if (!this.#fold.open) return;
    const state = this.#traits.get("_dependence");
    this.#tell(state);
    if (state.kind === "ready") this.#take(state);
    const shown = this.#shown;
    const fits = shown !== undefined && picture !== undefined && isOf(shown.maps, picture);
    const isStale = shown?.state !== state || !this.#isAsked(shown.state);
    assign(this.#result, { hidden: !fits || lut === undefined, "data-stale": isStale });
    this.#sentence.hidden = !fits || isStale;
    if (!fits || lut === undefined) return;
    // Neither map moves with alpha.
    const looks = Object.values({ ...look, alpha: 1 });
    if (!this.#changes.have(shown, picture.begin, scale, lut, ...looks)) return;
    this.#mean.draw(picture.begin, shown.mean, look, scale, lut);
    // A standard deviation has no sign that could be chosen.
    const unsigned = { ...look, sign: "all" } as const;
    this.#deviation.draw(picture.begin, shown.deviation, unsigned, scale, this.#colors);
    this.#bar.show(scale, picture.begin.outputName);
    this.#caption(shown, scale);
  }

  #tell(state: State): void {
    const isBusy = state.kind === undefined || state.kind === "computing";
    this.#progress.hidden = !isBusy;
    if (state.kind === "computing" && state.total > 0)
      assign(this.#progress, { max: state.total, value: state.done });
    else for (const name of ["max", "value"]) this.#progress.removeAttribute(name);
    write(this.#note, inWords(state));
    assign(this.#note, { "data-state": state.kind ?? "asked" });
    if (state.kind === "ready") write(this.#sentence, this.#inOneSentence(state));
  }

  /** Keeps the old state until the new maps have come, so that text and maps belong together. */
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

  #inOneSentence({ dependence, coarse, patch }: Ready): string {
    // The measure exceeds 1 where maps contradict each other.
    const [all, sums] = [dependence, coarse].map((one) => percent(Math.min(one, 1), 0));
    return `${all} of this map depends on the baseline, and ${sums} of its sums over ${this.#patches(patch)}`;
  }

  /** Whether it answers the current settings; the kernel hears of a change a little later. */
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

/** Returns a table of 256 colours; only its upper half is used. */
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
