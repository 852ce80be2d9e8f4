import { onAbort } from "./life.js";

/** Runs an action at once, then at most once in `period` milliseconds, and never loses the last call. */
export class Throttle {
  readonly #period: number;
  readonly #action: () => void;
  readonly #signal: AbortSignal;
  #timer: number | undefined;
  #pending = false;

  constructor(period: number, action: () => void, signal: AbortSignal) {
    this.#period = period;
    this.#action = action;
    this.#signal = signal;
    onAbort(signal, () => this.flush());
  }

  call(): void {
    if (this.#timer === undefined && !this.#signal.aborted) this.#run();
    else this.#pending = true;
  }

  /** Runs a pending call now. */
  flush(): void {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending) this.#run();
  }

  #run(): void {
    this.#pending = false;
    if (!this.#signal.aborted) {
      this.#timer = window.setTimeout(() => {
        this.#timer = undefined;
        if (this.#pending) this.#run();
      }, this.#period);
    }
    this.#action();
  }
}

/** Paints at most once a frame, however many things asked for it. */
export class FrameLoop {
  readonly #paint: () => void;
  readonly #signal: AbortSignal;
  #frame: number | undefined;

  constructor(paint: () => void, signal: AbortSignal) {
    this.#paint = paint;
    this.#signal = signal;
    onAbort(signal, () => cancelAnimationFrame(this.#frame ?? 0));
  }

  request(): void {
    if (this.#signal.aborted) return;
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#paint();
    });
  }
}
