import type { MapView } from "../core/kind.js";
import { inWords } from "../core/run.js";
import type { Picture, Store } from "../core/store.js";
import type { Look } from "../core/traits.js";
import { assign, paragraph, span, write } from "../util/dom.js";
import { shorten, significant } from "../util/format.js";
import { captioned } from "../util/parts.js";

/** One more pane: the same input with other settings. */
export class PaneView {
  readonly element: HTMLElement;
  readonly store: Store;
  readonly map: MapView;
  readonly #title = span("igw-title");
  readonly #state = span("igw-badge");
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
      this.map.readout,
    );
  }

  /** Shows a new picture if one has come; called before `draw`. */
  update(): Picture | undefined {
    const picture = newest(this.store, this.#shown);
    if (picture !== undefined && picture !== this.#shown) this.map.show(picture);
    this.#shown = picture;
    return picture;
  }

  draw(look: Look, scale: number): void {
    const { run, isStale, traits, pane } = this.store;
    const picture = this.#shown;
    write(this.#title, differences(traits.get("_panes")[pane] ?? {}));
    write(this.#state, run.kind === "idle" ? "previous picture" : shorten(inWords(run), 200));
    this.#state.hidden = !isStale && run.kind === "idle";
    assign(this.element, { "data-stale": isStale });
    this.map.draw(look, scale);
    if (picture === undefined) return;
    const { begin, plan, map } = picture;
    const collected = significant(map.collected(look.alpha));
    const unit = plan.delta === null ? " per unit of input" : "";
    const name = `${shorten(begin.targetName, 30)}, ${shorten(begin.outputName, 30)}${unit}`;
    write(this.#sum, `${name}: ${collected} of ${significant(plan.sum)}`);
  }
}

/** Returns the picture to draw: the one drawn already, if the settings changed between the arrival of a picture and its frame. */
export function newest(
  { picture, isStale }: Store,
  shown: Picture | undefined,
): Picture | undefined {
  return isStale ? (shown ?? picture) : picture;
}

const WORDS: Readonly<Record<string, string>> = { method: "rule", n_steps: "steps", tol: "error" };

/** Describes in what a pane differs from the first. */
function differences(settings: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(settings).map(
    ([name, value]) => `${WORDS[name] ?? name} ${shorten(String(value), 30)}`,
  );
  return parts.join(", ") || "the same";
}
