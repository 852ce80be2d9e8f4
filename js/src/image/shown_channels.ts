import { select } from "../controls/choice.js";
import type { Traits } from "../core/traits.js";
import { assign, html } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { withLabel } from "../util/parts.js";
import type { ImageTraits } from "./traits.js";

/** What of an input with many channels is drawn as the photo: their mean, one of them, three as colours. */
export class ShownChannels {
  readonly element: HTMLLabelElement;
  readonly #traits: Traits<ImageTraits>;
  readonly #select = html("select", { "aria-label": "photo" });

  constructor(traits: Traits<ImageTraits>, signal: AbortSignal) {
    this.#traits = traits;
    this.element = withLabel("photo", "", this.#select);
    assign(this.element, { title: "Which channels of the input are drawn as the picture." });
    const choose = () => {
      traits.set("shown_channels", this.#select.value);
      traits.flush();
    };
    listen(this.#select, "change", choose, signal);
    traits.on(["_channels"], () => this.#fill(), signal);
    traits.on(["shown_channels"], () => this.#follow(), signal);
    this.#fill();
  }

  #fill(): void {
    // The first is the sum of all.
    const names = this.#traits.get("_channels").slice(1);
    const colours = names.slice(0, 3).join(", ");
    const choices = [
      ["", "mean of all"],
      [colours, `colours: ${shorten(colours)}`],
    ] as const;
    const options = [...choices, ...names.map((name) => [name, shorten(name)] as const)];
    this.#select.replaceChildren(
      ...options.map(([value, text]) => html("option", { value }, text)),
    );
    // Of one channel and of three there is nothing to choose.
    this.element.hidden = names.length < 4 || this.#traits.isRecording;
    this.#follow();
  }

  #follow(): void {
    select(this.#select, this.#traits.get("shown_channels"));
  }
}
