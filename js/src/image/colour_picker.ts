import type { Store } from "../core/store.js";
import { assign } from "../util/dom.js";
import { lifeWithin, listen, onAbort } from "../util/life.js";
import type { Overlay } from "./overlay.js";
import { photoOf } from "./photo.js";

/** Once begun, the next click on a picture, or Enter at its cross-hair, makes that pixel's colour the baseline. */
export class ColourPicker {
  readonly #store: Store;
  readonly #overlay: Overlay;
  readonly #signal: AbortSignal;
  #life: AbortController | undefined;

  constructor(store: Store, overlay: Overlay, signal: AbortSignal) {
    this.#store = store;
    this.#overlay = overlay;
    this.#signal = signal;
  }

  /** Keys are captured at `around`, before the region tool receives them. */
  begin(around: HTMLElement): void {
    this.#life?.abort();
    const life = lifeWithin(this.#signal);
    this.#life = life;
    const { signal } = life;
    const { element, tool } = this.#overlay;
    tool.cancel();
    assign(element, { "data-picking": true });
    onAbort(signal, () => assign(element, { "data-picking": false }));
    const take = (event: Event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      const colour = this.#colour();
      if (colour === undefined) return;
      life.abort();
      this.#store.traits.set("baseline", `colour(${colour})`);
      this.#store.traits.flush();
    };
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") life.abort();
      if (event.key === "Enter" && event.target === element) take(event);
    };
    // The region tool ignores events that are prevented.
    const press = (event: Event) => event.preventDefault();
    listen(element, "click", take, signal, { capture: true });
    listen(element, "pointerdown", press, signal, { capture: true });
    listen(around, "keydown", key, signal, { capture: true });
    element.focus();
  }

  /** Returns the colour of the pixel under the cross-hair as #rrggbb. */
  #colour(): string | undefined {
    const { picture } = this.#store;
    const { pixel } = this.#overlay;
    if (pixel === undefined || picture === undefined) return undefined;
    const { photo, width } = photoOf(picture.begin.display);
    const at = 3 * (pixel.row * width + pixel.column);
    const levels = [...photo.subarray(at, at + 3)];
    return `#${levels.map((level) => level.toString(16).padStart(2, "0")).join("")}`;
  }
}
