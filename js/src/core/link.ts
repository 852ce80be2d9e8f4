import type { AnyModel } from "@anywidget/types";
import { onAbort } from "../util/life.js";
import type { ToKernel } from "./protocol.js";
import type { CoreTraits } from "./traits.js";

/** A kernel that computes beats twice a second. */
const PATIENCE = 1800;
const LOOK_EVERY = 300;
/** Seconds after which messages are requested again. */
const AGAIN = 10;

/**
 * The connection to the kernel and its state: alive, silent although a message is due, or gone.
 *
 * Jupyter reports a restart some seconds after the kernel died, and other hosts report nothing; so
 * silence is timed as well.
 */
export class Link {
  readonly #model: AnyModel<CoreTraits>;
  readonly #changed: (isSilent: boolean) => void;
  readonly #signal: AbortSignal;
  #isGone = false;
  #heard = 0;
  #looked = 0;
  #silence = 0;
  #timer: number | undefined;

  constructor(
    model: AnyModel<CoreTraits>,
    changed: (isSilent: boolean) => void,
    signal: AbortSignal,
  ) {
    this.#model = model;
    this.#changed = changed;
    this.#signal = signal;
    const end = () => this.#end();
    model.on("comm_live_update", end);
    onAbort(signal, () => {
      model.off("comm_live_update", end);
      this.expects = false;
    });
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Whole seconds since a message was due; 0 while all is well. */
  get silence(): number {
    return this.#silence;
  }

  /** Whether a message of the kernel is due. */
  set expects(expects: boolean) {
    if (expects === (this.#timer !== undefined)) return;
    window.clearInterval(this.#timer);
    this.#timer = undefined;
    this.#silence = 0;
    if (!expects || this.#isGone || this.#signal.aborted) return;
    this.#heard = this.#looked = performance.now();
    this.#timer = window.setInterval(() => this.#look(), LOOK_EVERY);
  }

  heard(): void {
    this.#heard = performance.now();
    this.#silence = 0;
  }

  /** Does not throw if the connection is gone. */
  send(message: ToKernel, buffers?: ArrayBuffer[]): void {
    if (this.#isGone) return;
    try {
      this.#model.send(message, undefined, buffers);
    } catch {
      this.#end();
    }
  }

  #look(): void {
    const now = performance.now();
    // A page that was suspended has received nothing, whatever was sent.
    if (now - this.#looked > 5 * LOOK_EVERY) this.#heard = now;
    this.#looked = now;
    const time = now - this.#heard;
    const silence = time < PATIENCE ? 0 : Math.max(1, Math.floor(time / 1000));
    if (silence === this.#silence) return;
    const isNews = this.#silence === 0 || silence % AGAIN === 0;
    this.#silence = silence;
    this.#changed(isNews);
  }

  #end(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.expects = false;
    this.#changed(false);
  }
}
