import { EXPORTS } from "../core/protocol.js";
import type { Store } from "../core/store.js";
import { button, html, span } from "../util/dom.js";
import { listen } from "../util/life.js";

const TITLES = {
  png: "the picture with colour bar and caption",
  svg: "the same, in which text is text",
  npz: "maps, alphas, outputs and settings, for NumPy",
  html: "a file that works with no kernel and no network",
} as const;

/** Buttons to save what is shown as files, which the kernel makes. */
export class Exports {
  readonly element: HTMLElement;

  constructor(store: Store, signal: AbortSignal) {
    const buttons = EXPORTS.map((kind) => {
      const made = button(kind.toUpperCase(), { title: TITLES[kind] });
      const request = () => store.send({ type: "export", view: store.view, kind });
      listen(made, "click", request, signal);
      return made;
    });
    this.element = html(
      "div",
      { class: "igw-exports", role: "group", "aria-label": "save" },
      span("igw-label", "save as"),
      ...buttons,
    );
  }
}
