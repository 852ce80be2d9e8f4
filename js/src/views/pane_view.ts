import { TrustMark } from "../controls/trust_mark.js";
import type { MapView } from "../core/kind.js";
import { inWords } from "../core/run.js";
import type { Picture, Store } from "../core/store.js";
import type { CoreTraits, Look, Traits } from "../core/traits.js";
import { assign, paragraph, span, write } from "../util/dom.js";
import { shorten, signed, significant } from "../util/format.js";
import { captioned } from "../util/parts.js";
import { settingInWords } from "./settings_words.js";

/** One more pane: the same input with other settings. */
export class PaneView {
  readonly element: HTMLElement;
  readonly store: Store;
  readonly map: MapView;
  readonly #title = span("igw-title");
  readonly #state = span("igw-badge");
  readonly #trust = new TrustMark();
  readonly #sum = paragraph("igw-collected");
  #shown: Picture | undefined;

  constructor(store: Store, map: MapView) {
    this.store = store;
    this.map = map;
    this.element = captioned(
      "igw-figure igw-pane",
      [this.#title, this.#state],
      this.map.element,
      this.#sum,
      this.#trust.element,
      this.map.readout,
    );
  }

  /** Whether alpha leads along its path. */
  get isOnPath(): boolean {
    return this.#shown !== undefined && this.#shown.begin.path !== "draws";
  }

  /** Shows a new picture if one has come; called before `draw`. */
  update(): Picture | undefined {
    const picture = newest(this.store, this.#shown);
    if (picture !== undefined && picture !== this.#shown) this.map.show(picture);
    this.#shown = picture;
    return picture;
  }

  /** `isShared`: the scale is that of the first pane as well. */
  draw(shared: Look, scale: number, isShared: boolean): void {
    const { run, isStale } = this.store;
    const picture = this.#shown;
    const look = lookAt(picture, shared);
    const title = this.#differences();
    write(this.#title, title);
    assign(this.#title, { title });
    const state = run.kind === "idle" ? "previous picture" : shorten(inWords(run), 200);
    write(this.#state, state);
    assign(this.#state, { title: state });
    this.#state.hidden = !isStale && run.kind === "idle";
    assign(this.element, { "data-stale": isStale });
    this.map.draw(look, scale);
    this.#trust.show(picture, run);
    // What to do to read it, the first pane says.
    assign(this.map.readout, { "data-idle": this.map.pointed === undefined });
    if (picture === undefined) return;
    const { begin } = picture;
    const name = `${shorten(begin.targetName, 30)}, ${shorten(begin.outputName, 30)}`;
    const own = isShared
      ? ""
      : `; another unit than the first pane, in a scale of its own, ±${significant(scale, 2)}`;
    const line = `${sumLine(picture, look.alpha, true)} · ${name}${own}`;
    write(this.#sum, line);
    assign(this.#sum, { title: line });
  }

  /** Describes in what the pane differs from the first. */
  #differences(): string {
    const { traits, pane } = this.store;
    const own = Object.entries(traits.get("_panes")[pane] ?? {});
    const parts = own
      .filter(([name, value]) => traits.get(name as keyof CoreTraits & string) !== value)
      .map(([name, value]) => settingInWords(traits, name, value));
    return parts.join(", ") || "the same";
  }
}

/** Describes the first pane by what others have otherwise; empty where there is nothing. */
export function firstInWords(traits: Traits): string {
  const names = new Set(traits.get("_panes").flatMap((pane) => Object.keys(pane)));
  const differing = [...names].filter((name) =>
    traits.get("_panes").some((pane) => {
      const other = pane[name as keyof typeof pane];
      return other !== undefined && other !== traits.get(name as keyof CoreTraits & string);
    }),
  );
  return differing
    .map((name) => settingInWords(traits, name, traits.get(name as keyof CoreTraits & string)))
    .join(", ");
}

/** Returns the picture to draw: the one drawn already, if the settings changed between the arrival of a picture and its frame. */
export function newest(store: Store, shown: Picture | undefined): Picture | undefined {
  const { picture, isStale } = store;
  return isStale && shown !== undefined ? store.atGrain(shown) : picture;
}

/** The look of one pane: what lies on no path is shown whole, whatever alpha is. */
export function lookAt(picture: Picture | undefined, look: Look): Look {
  return picture?.begin.path === "draws" ? { ...look, alpha: 1 } : look;
}

/** One line below a map: what is collected of its sum, and by how much that misses completeness. */
export function sumLine({ begin, plan, map }: Picture, alpha: number, isShort: boolean): string {
  const sum = significant(plan.sum);
  const part = `${significant(map.collected(alpha))} of ${sum}`;
  // Without completeness a map is a gradient.
  const delta = plan.delta === null ? "per unit of input" : `Δ ${signed(plan.delta, 2)}`;
  if (isShort) return `${part}, ${delta}`;
  return begin.path === "draws" ? `sum: ${sum}, ${delta}` : `collected up to alpha: ${part}`;
}
