import { assign, button, div, html, span } from "../util/dom.js";
import { listen } from "../util/life.js";

/** A part of the view, and what it is in a few words. */
export type Explained = readonly [part: Element, words: string];

/** A "?" that lays over the parts of the view what they are; Escape, or a click, takes it away. */
export class Help {
  readonly button = button("?", {
    "aria-label": "what is what",
    "aria-expanded": "false",
    title: "Shows what the parts are; Escape hides it.",
  });
  /** To be laid over the stage. */
  readonly element = html("div", {
    class: "igw-help",
    role: "dialog",
    "aria-label": "what the parts are",
    tabindex: -1,
    hidden: true,
  });
  readonly #parts: () => readonly Explained[];

  constructor(parts: () => readonly Explained[], signal: AbortSignal) {
    this.#parts = parts;
    listen(
      this.button,
      "click",
      () => (this.element.hidden ? this.#open() : this.#close()),
      signal,
    );
    listen(this.element, "click", () => this.#close(), signal);
    const hide = (event: KeyboardEvent) => {
      if (event.key === "Escape" || event.key === "Tab") this.#close();
      if (event.key === "Escape") event.preventDefault();
    };
    listen(this.element, "keydown", hide, signal);
  }

  #open(): void {
    this.element.hidden = false;
    const { left, top } = this.element.getBoundingClientRect();
    const seen = this.#parts().filter(([part]) => part.checkVisibility());
    this.element.replaceChildren(
      ...seen.map(([part, words]) => {
        const box = part.getBoundingClientRect();
        const label = div("igw-help-part", span("", words));
        label.style.left = `${box.left - left}px`;
        label.style.top = `${box.top - top}px`;
        label.style.width = `${box.width}px`;
        label.style.height = `${box.height}px`;
        return label;
      }),
    );
    assign(this.button, { "aria-expanded": "true" });
    this.element.focus({ preventScroll: true });
  }

  #close(): void {
    if (this.element.hidden) return;
    this.element.hidden = true;
    assign(this.button, { "aria-expanded": "false" });
    this.button.focus({ preventScroll: true });
  }
}
