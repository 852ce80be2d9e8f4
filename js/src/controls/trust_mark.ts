import type { Trust } from "../core/protocol.js";
import type { Run } from "../core/run.js";
import type { Picture } from "../core/store.js";
import { assign, html, span, svg, write } from "../util/dom.js";
import { shorten } from "../util/format.js";

/** Outlines in a square of 16, so that the states differ by shape as well as by colour and word. */
const SHAPES: Readonly<Record<Trust["state"], readonly [outline: string, sign: string]>> = {
  "within tolerance": ["M8 1a7 7 0 1 1 0 14a7 7 0 1 1 0-14z", "M4.5 8.2 7 10.7 11.5 5.5"],
  rough: ["M8 1 15.5 14.5H.5z", "M8 6v4M8 12v.6"],
  "not to be used": ["M5 1h6l4 4v6l-4 4H5l-4-4V5z", "M5 5l6 6M11 5l-6 6"],
};
const COMING: Trust = { state: "rough", why: "more samples are coming." };
const STOPPED: Trust = { state: "rough", why: "it is of a run that was stopped early." };

/** A mark that says how far the map that is drawn can be trusted, and why. */
export class TrustMark {
  readonly element: HTMLElement;
  readonly #outline = svg("path", { class: "igw-trust-outline" });
  readonly #sign = svg("path", { class: "igw-trust-sign" });
  readonly #state = html("strong");
  readonly #why = span("igw-trust-why");

  constructor() {
    const mark = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    mark.append(this.#outline, this.#sign);
    this.element = html("span", { class: "igw-trust" }, mark, this.#state, this.#why);
    this.element.hidden = true;
  }

  show(picture: Picture | undefined, run: Run): void {
    this.element.hidden = picture === undefined;
    if (picture === undefined) return;
    const { state, why } = trustOf(picture, run);
    const [outline, sign] = SHAPES[state];
    assign(this.#outline, { d: outline });
    assign(this.#sign, { d: sign });
    const sentence = shorten(why, 400);
    write(this.#state, state);
    write(this.#why, sentence);
    assign(this.element, { "data-state": state, title: `${state}: ${sentence}` });
  }
}

function trustOf({ plan }: Picture, run: Run): Trust {
  return plan.trust ?? (run.kind === "cancelled" || run.kind === "failed" ? STOPPED : COMING);
}
