import type { Traits } from "../core/traits.js";
import { html } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import { select } from "./choice.js";

/**
 * Those that serve: of even lightness on both sides of a light zero, each told apart with any colour vision (no red beside
 * green), and sequential ones whose lightness rises evenly, for one sign alone.
 */
const SERVE = {
  "diverging: zero in the middle": ["RdBu_r", "PuOr_r", "BrBG_r", "PRGn", "coolwarm"],
  "sequential: dark to light": ["viridis", "cividis", "magma"],
};
const MORE = "more";
const TITLE = "The colours of the map: the middle of the list of colours stands for zero.";

/** The colour map: the few that serve first, all others under "more". */
export class ColormapChoice {
  readonly element: HTMLLabelElement;
  readonly #traits: Traits;
  readonly #select = html("select", { "aria-label": "colormap", title: TITLE });

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.element = withLabel("colour map", "", this.#select);
    const choose = () => {
      traits.set("colormap", this.#select.value);
      traits.flush();
    };
    const follow = () => select(this.#select, traits.get("colormap"));
    listen(this.#select, "change", choose, signal);
    traits.on(["_colormaps"], () => this.#fill(), signal);
    traits.on(["colormap"], follow, signal);
    this.#fill();
    follow();
  }

  #fill(): void {
    const offered = this.#traits.get("_colormaps");
    const few = Object.values(SERVE).flat();
    const groups = {
      ...SERVE,
      [MORE]: offered.filter((name) => !few.includes(name)),
    };
    this.#select.replaceChildren(
      ...Object.entries(groups).flatMap(([label, names]) => {
        const options = names
          .filter((name) => offered.includes(name))
          .map((name) => html("option", { value: name }, shorten(name)));
        return options.length > 0 ? [html("optgroup", { label }, ...options)] : [];
      }),
    );
    this.element.hidden = offered.length === 0;
    select(this.#select, this.#traits.get("colormap"));
  }
}
