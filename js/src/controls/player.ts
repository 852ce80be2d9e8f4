import type { Traits } from "../core/traits.js";
import { assign, div, html, write } from "../util/dom.js";
import { listen, onAbort } from "../util/life.js";

/** From alpha = 0 to 1. */
const DURATION = 4000;
/** With `prefers-reduced-motion`: this many steps, this many milliseconds apart. */
const STEPS = 10;
const STEP_EVERY = 400;

/** Plays alpha to 1 once; stops when somebody else moves it. */
export class Player {
  readonly element: HTMLElement;
  readonly #traits: Traits;
  readonly #icon = html("span", { "aria-hidden": "true", class: "igw-icon" });
  readonly #label = html("span");
  readonly #button = html("button", { type: "button", class: "igw-play" }, this.#icon, this.#label);
  /** Stops the animation; undefined while none is running. */
  #end: (() => void) | undefined;
  /** The last alpha set here; any other value was set by somebody else. */
  #own = Number.NaN;

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.element = div("igw-player", this.#button);
    listen(this.#button, "click", () => this.#toggle(), signal);
    const interfere = () => {
      if (traits.get("alpha") !== this.#own) this.#stop();
    };
    traits.on(["alpha"], interfere, signal);
    const hide = () => {
      if (document.hidden) this.#stop();
    };
    listen(document, "visibilitychange", hide, signal);
    const yieldTo = (event: KeyboardEvent) => {
      if (event.key === "Escape") this.#stop();
    };
    // In the capture phase, because views stop the propagation of keys.
    listen(document, "keydown", yieldTo, signal, { capture: true });
    onAbort(signal, () => this.#stop());
    this.#describe();
  }

  get isPlaying(): boolean {
    return this.#end !== undefined;
  }

  #toggle(): void {
    if (this.isPlaying) this.#stop();
    else {
      const alpha = this.#traits.get("alpha");
      const start = alpha < 1 ? alpha : 0;
      const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (isStill) this.#step(start);
      else this.#glide(start);
      this.#describe();
    }
  }

  #glide(start: number): void {
    let begun: number | undefined;
    const advance = (now: number) => {
      begun ??= now;
      this.#goTo(start + (now - begun) / DURATION);
      if (this.isPlaying) frame = requestAnimationFrame(advance);
    };
    let frame = requestAnimationFrame(advance);
    this.#end = () => cancelAnimationFrame(frame);
  }

  #step(start: number): void {
    const advance = () => {
      const done = Math.floor(this.#traits.get("alpha") * STEPS + 1e-9);
      this.#goTo((done + 1) / STEPS);
    };
    const timer = window.setInterval(advance, STEP_EVERY);
    this.#end = () => window.clearInterval(timer);
    this.#goTo(start);
  }

  #goTo(alpha: number): void {
    this.#own = Math.min(alpha, 1);
    this.#traits.set("alpha", this.#own);
    if (alpha >= 1) this.#stop();
  }

  #stop(): void {
    if (this.#end === undefined) return;
    this.#end();
    this.#end = undefined;
    this.#traits.flush();
    this.#describe();
  }

  #describe(): void {
    assign(this.#button, { "aria-pressed": String(this.isPlaying) });
    write(this.#icon, this.isPlaying ? "❚❚" : "▶");
    write(this.#label, this.isPlaying ? "pause" : "play alpha");
  }
}
