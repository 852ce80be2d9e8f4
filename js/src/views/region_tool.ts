import type { Selections } from "../panels/selections.js";
import { listen } from "../util/life.js";
import type { Pixel, PixelCursor } from "./cursor.js";
import type { Corner, Region } from "./region.js";
import type { Surface } from "./surface.js";

export const MODES = ["point", "rectangle", "lasso", "patch"] as const;

/** What a drag does: nothing but read pixels, draw a rectangle, or draw freely; a click takes a patch of like colour. */
export type Mode = (typeof MODES)[number];

/** A drag shorter than this, in pixels of the screen, is a click. */
const CLICK = 4;

interface Drag {
  readonly pointer: number;
  readonly from: Corner;
  readonly clientX: number;
  readonly clientY: number;
}

/**
 * Draws regions: by pointer as the mode says, or in any mode by keys, Enter for one corner of a rectangle, arrows to
 * the other, Enter again. Escape gives up.
 */
export class RegionTool {
  readonly #surface: Surface;
  readonly #cursor: PixelCursor;
  readonly #regions: Selections<Region>;
  readonly #changed: () => void;
  readonly #patchAt: (pixel: Pixel) => Region | undefined;
  #mode: Mode = "point";
  #drag: Drag | undefined;
  #corner: Pixel | undefined;
  #draft: Region | undefined;

  /**
   * To be made before what else listens for Escape there. `changed` is called at each change of mode or draft; `patchAt`
   * says which patch a pixel lies in.
   */
  constructor(
    surface: Surface,
    cursor: PixelCursor,
    regions: Selections<Region>,
    changed: () => void,
    patchAt: (pixel: Pixel) => Region | undefined,
    signal: AbortSignal,
  ) {
    this.#patchAt = patchAt;
    this.#surface = surface;
    this.#cursor = cursor;
    this.#regions = regions;
    this.#changed = changed;
    const { element } = surface;
    listen(element, "pointerdown", (event) => this.#press(event), signal);
    listen(element, "pointermove", (event) => this.#move(event), signal);
    listen(element, "pointerup", (event) => this.#release(event), signal);
    listen(element, "pointercancel", () => this.cancel(), signal);
    // Runs before the cursor's own listener, which hides the cross-hair on Escape.
    listen(element, "keydown", (event) => this.#key(event), signal, { capture: true });
  }

  get mode(): Mode {
    return this.#mode;
  }

  set mode(mode: Mode) {
    this.#mode = mode;
    this.cancel();
  }

  /** What is being drawn. */
  get draft(): Region | undefined {
    // The corner by keys stays while the cross-hair goes on.
    const { pixel } = this.#cursor;
    return this.#corner && pixel ? between(this.#corner, pixel) : this.#draft;
  }

  /** Tells what to do next; empty if there is nothing to say. */
  get hint(): string {
    if (this.#corner === undefined) return "";
    const { column, row } = this.#corner;
    return `First corner at (${column}, ${row}). Move with the arrow keys, then Enter; Escape gives up.`;
  }

  cancel(): void {
    this.#drag = undefined;
    this.#corner = undefined;
    this.#draft = undefined;
    this.#changed();
  }

  #press(event: PointerEvent): void {
    // The event is prevented if it pans the picture.
    if (this.#mode === "point" || event.button !== 0 || !event.isPrimary) return;
    if (event.defaultPrevented) return;
    if (this.#mode === "patch") {
      this.#take(this.#pixel(this.#at(event)));
      return;
    }
    const { pointerId, clientX, clientY } = event;
    this.#surface.element.setPointerCapture(pointerId);
    this.#corner = undefined;
    this.#drag = { pointer: pointerId, from: this.#at(event), clientX, clientY };
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag?.pointer !== event.pointerId) return;
    const far = Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY);
    if (this.#draft === undefined && far < CLICK) return;
    this.#draft = this.#extend(drag.from, this.#at(event));
    this.#changed();
  }

  #extend(from: Corner, to: Corner): Region {
    if (this.#mode === "rectangle") return between(this.#pixel(from), this.#pixel(to));
    const points = this.#draft?.kind === "polygon" ? this.#draft.points : [from];
    const [x, y] = points[points.length - 1] ?? from;
    return { kind: "polygon", points: x === to[0] && y === to[1] ? points : [...points, to] };
  }

  #release(event: PointerEvent): void {
    if (this.#drag?.pointer !== event.pointerId) return;
    const draft = this.#draft;
    this.cancel();
    if (draft?.kind === "polygon" && draft.points.length < 3) return;
    if (draft !== undefined) this.#regions.add(draft);
  }

  #key(event: KeyboardEvent): void {
    const isDrawing = this.#drag !== undefined || this.#corner !== undefined;
    if (event.key === "Escape" && isDrawing) {
      event.stopImmediatePropagation();
      this.cancel();
    } else if (event.key === "Enter" && event.target === this.#surface.element) {
      event.preventDefault();
      this.#setCorner();
    }
  }

  #setCorner(): void {
    const { width } = this.#surface;
    if (width === 0) return;
    const { pixel } = this.#cursor;
    if (this.#mode === "patch") {
      this.#take(pixel ?? this.#cursor.centre());
      return;
    }
    if (this.#corner === undefined) {
      this.#corner = pixel ?? this.#cursor.centre();
      this.#changed();
      return;
    }
    const region = between(this.#corner, pixel ?? this.#corner);
    this.cancel();
    this.#regions.add(region);
  }

  #take(pixel: Pixel): void {
    const patch = this.#patchAt(pixel);
    if (patch !== undefined) this.#regions.add(patch);
  }

  /** Rounds to tenths of a pixel: no hand is more exact, and the numbers stay short. */
  #at(event: PointerEvent): Corner {
    const { width, height } = this.#surface;
    const [x, y] = this.#surface.toPicture(event);
    return [tenths(within(x, width)), tenths(within(y, height))];
  }

  #pixel([x, y]: Corner): Pixel {
    const { width, height } = this.#surface;
    return {
      column: Math.min(Math.floor(x), width - 1),
      row: Math.min(Math.floor(y), height - 1),
    };
  }
}

/** Returns the rectangle that contains both pixels. */
function between(a: Pixel, b: Pixel): Region {
  return {
    kind: "rectangle",
    box: [
      Math.min(a.column, b.column),
      Math.min(a.row, b.row),
      Math.max(a.column, b.column) + 1,
      Math.max(a.row, b.row) + 1,
    ],
  };
}

function within(place: number, size: number): number {
  return Math.min(Math.max(place, 0), size);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
