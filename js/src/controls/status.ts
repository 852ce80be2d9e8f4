import type { DrawnBy } from "../core/kind.js";
import { inWords, type Run } from "../core/run.js";
import { assign, button, div, html, write } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { Throttle } from "../util/timing.js";

/** Screen readers read each change aloud; more often than this is noise. */
const SPEAK_EVERY = 250;
/** A model's error message may have any length; the line scrolls. */
const LONGEST = 1500;

/** The status line: state of the newest request, the renderer, and a button to cancel. */
export class Status {
  readonly element: HTMLElement;
  readonly #line = html("span", { role: "status", "aria-live": "polite", class: "igw-status" });
  readonly #bar = html("progress", { "aria-label": "evaluations", max: 1, value: 0 });
  readonly #cancel = button("Cancel", { disabled: true });
  readonly #speak: Throttle;
  #text = "";
  #kind: Run["kind"] | undefined;

  constructor(cancel: () => void, signal: AbortSignal) {
    this.#speak = new Throttle(SPEAK_EVERY, () => write(this.#line, this.#text), signal);
    listen(this.#cancel, "click", cancel, signal);
    this.element = div("igw-strip", this.#line, this.#bar, this.#cancel);
  }

  show(run: Run, drawnBy?: DrawnBy): void {
    const computing = run.kind === "computing";
    assign(this.element, { "data-state": run.kind === "requested" ? "computing" : run.kind });
    assign(this.#line, { title: drawnBy?.reason ?? "" });
    assign(this.#cancel, { disabled: !computing && run.kind !== "silent" });
    this.#bar.hidden = !computing && run.kind !== "requested";
    if (computing) assign(this.#bar, { max: Math.max(run.total, 1), value: run.done });
    else assign(this.#bar, { value: false });

    const by = drawnBy && ` · ${drawnBy.renderer.name}`;
    const text = `${shorten(inWords(run), LONGEST)}${by ?? ""}`;
    if (text === this.#text) return;
    this.#text = text;
    this.#speak.call();
    if (run.kind !== this.#kind) this.#speak.flush();
    this.#kind = run.kind;
  }
}
