import type { Traits } from "../core/traits.js";
import { assign, html } from "../util/dom.js";
import { listen } from "../util/life.js";

const LOWEST = 50;
const STEP = 0.5;
const PAGE = 5;

export interface Clip {
  readonly scale: number;
  /** Of |attribution|, 50 to 100. */
  readonly percentile: number;
}

export interface Dragging {
  readonly traits: Traits;
  /** Called with where the pointer is, in widths of the plot. */
  readonly choose: (position: number) => void;
  /** Called when the finger is lifted. */
  readonly settle: () => void;
}

/** Two handles, at minus and plus the scale, that move together and set the trait `clip`. */
export class ClipHandles {
  readonly #traits: Traits;
  readonly #handles: readonly HTMLElement[];
  #pointer: number | undefined;

  constructor(plot: HTMLElement, { traits, choose, settle }: Dragging, signal: AbortSignal) {
    this.#traits = traits;
    this.#handles = ["lower", "upper"].map((side) =>
      html("div", {
        class: "igw-handle",
        role: "slider",
        tabindex: 0,
        "aria-label": `${side} end of the colours, as a percentile of attribution sizes`,
        "aria-valuemin": LOWEST,
        "aria-valuemax": 100,
        "aria-valuenow": 99,
        hidden: true,
      }),
    );
    plot.append(...this.#handles);
    this.#handles.forEach((handle, side) => {
      listen(handle, "keydown", (event) => this.#press(event, side), signal);
      listen(handle, "keyup", () => traits.flush(), signal);
    });
    const point = (event: PointerEvent) => {
      if (event.pointerId !== this.#pointer) return;
      const box = plot.getBoundingClientRect();
      choose((event.clientX - box.left) / box.width);
    };
    const grasp = (event: PointerEvent) => {
      if (event.button !== 0 || this.#pointer !== undefined || this.#handles[0]?.hidden) return;
      event.preventDefault();
      this.#pointer = event.pointerId;
      plot.setPointerCapture(event.pointerId);
      const box = plot.getBoundingClientRect();
      const side = Number(event.clientX > box.left + box.width / 2);
      this.#handles[side]?.focus({ preventScroll: true });
      point(event);
    };
    const release = (event: PointerEvent) => {
      if (event.pointerId !== this.#pointer) return;
      this.#pointer = undefined;
      traits.flush();
      settle();
    };
    listen(plot, "pointerdown", grasp, signal);
    listen(plot, "pointermove", point, signal);
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"] as const)
      listen(plot, end, release, signal);
  }

  get isDragged(): boolean {
    return this.#pointer !== undefined;
  }

  set(percentile: number): void {
    this.#traits.set("clip", Math.min(Math.max(percentile, LOWEST), 100));
  }

  /** `places` in widths of the plot. Where there is nothing to clip, there are no handles. */
  show({ scale, percentile }: Clip, places: readonly number[], words: string): void {
    this.#handles.forEach((handle, side) => {
      assign(handle, {
        hidden: scale === 0,
        "aria-valuenow": percentile,
        "aria-valuetext": words,
      });
      handle.style.left = `${(100 * (places[side] ?? 0)).toFixed(3)}%`;
    });
  }

  /** Left and right arrows move the handle on the screen, so that on the lower one left means more. */
  #press(event: KeyboardEvent, side: number): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = this.#traits.get("clip");
    const outwards = side === 1 ? STEP : -STEP;
    const next = {
      ArrowRight: now + outwards,
      ArrowLeft: now - outwards,
      ArrowUp: now + STEP,
      ArrowDown: now - STEP,
      PageUp: now + PAGE,
      PageDown: now - PAGE,
      Home: LOWEST,
      End: 100,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.set(next);
  }
}
