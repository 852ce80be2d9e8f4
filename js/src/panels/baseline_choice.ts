import { select } from "../controls/choice.js";
import type { CoreTraits, Traits } from "../core/traits.js";
import { html } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import type { BaselineMemory } from "./baseline_memory.js";
import { baselineInWords } from "./baseline_text.js";

const TITLE =
  "What stands for nothing: the path begins there, and the map says what the input adds to it.";

/** The baselines on offer, by the names of their cards; each with the parameters that it had last. */
export class BaselineChoice {
  readonly element: HTMLLabelElement;
  readonly #traits: Traits<CoreTraits>;
  readonly #memory: BaselineMemory;
  readonly #select = html("select", { "aria-label": "baseline", title: TITLE });

  /** To be made after the memory, which hears of each change first. */
  constructor(traits: Traits<CoreTraits>, memory: BaselineMemory, signal: AbortSignal) {
    this.#traits = traits;
    this.#memory = memory;
    this.element = withLabel("baseline", "", this.#select);
    const choose = () => {
      traits.set("baseline", this.#select.value);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on(["_baselines", "baseline"], () => this.#fill(), signal);
    this.#fill();
  }

  #fill(): void {
    const offered = this.#traits.get("_baselines");
    const texts = offered.map((kind) => this.#memory.textOf(kind));
    const now = [...this.#select.options].map(({ value }) => value);
    const baseline = this.#traits.get("baseline");
    // An open list must not be made anew for nothing.
    if (texts.join("\n") !== now.join("\n"))
      this.#select.replaceChildren(...texts.map((text) => this.#option(text, offered)));
    this.element.hidden = offered.length === 0;
    select(this.#select, baseline, shorten(baselineInWords(baseline, offered)));
  }

  #option(text: string, offered: readonly string[]): HTMLOptionElement {
    const disabled = !this.#traits.offers("baseline", text);
    return html("option", { value: text, disabled }, shorten(baselineInWords(text, offered)));
  }
}
