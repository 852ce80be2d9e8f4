import { assign, button, html, write } from "../util/dom.js";
import { listen, onAbort } from "../util/life.js";

const MOST = 16;
/** The buttons and keys double it in two steps. */
const STEP = Math.SQRT2;
/** From this factor on pixels are drawn with sharp edges. */
const PIXELATED = 2;
/** The most that one wheel event may zoom: mice report a hundred times as much as touch pads. */
const MOST_TURN = 25;
const LINE = 16;

/** In shares of the frame, or of the picture: 0, 0 is its top left corner and 1, 1 its bottom right one. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

const MIDDLE: Place = { x: 0.5, y: 0.5 };

/** Zooms and pans several pictures together: they all show the same part. */
export class Zoom {
  readonly controls: HTMLElement;
  readonly #layers = new Set<HTMLElement>();
  readonly #factor = html("output", { class: "igw-zoom-factor", "aria-label": "zoom" });
  readonly #out = button("−", { "aria-label": "zoom out" });
  readonly #reset = button("reset", { "aria-label": "reset zoom" });
  readonly #in = button("+", { "aria-label": "zoom in" });
  #scale = 1;
  /** Where the top left corner of the picture is, in shares of the frame: 0 or less. */
  #left = 0;
  #top = 0;

  constructor(signal: AbortSignal) {
    this.controls = html(
      "div",
      { class: "igw-zoom", role: "group", "aria-label": "zoom" },
      this.#out,
      this.#factor,
      this.#in,
      this.#reset,
    );
    listen(this.#out, "click", () => this.zoomBy(1 / STEP), signal);
    listen(this.#in, "click", () => this.zoomBy(STEP), signal);
    listen(this.#reset, "click", () => this.reset(), signal);
    this.#apply();
  }

  get scale(): number {
    return this.#scale;
  }

  /**
   * `frame` clips and takes pointers and keys, `layer` fills it and is transformed. `cursor` says where in the
   * picture the cross-hair is, in shares of the picture: what keys move it to is kept in sight. Whoever moves it
   * must listen to the frame's keys before.
   */
  attach(
    frame: HTMLElement,
    layer: HTMLElement,
    signal: AbortSignal,
    cursor: () => Place | undefined = () => undefined,
  ): void {
    layer.classList.add("igw-layer");
    this.#layers.add(layer);
    onAbort(signal, () => this.#layers.delete(layer));
    this.#wheel(frame, layer, signal);
    this.#keys(frame, signal, cursor);
    new Hand(frame, layer, this, signal);
    this.#apply();
  }

  /** Zooms; the point `at` stays where it is. */
  zoomBy(factor: number, at: Place = MIDDLE): void {
    const wanted = Math.min(Math.max(this.#scale * factor, 1), MOST);
    // Removes rounding, so that steps back end at exactly 1.
    const scale = Math.abs(wanted - Math.round(wanted)) < 1e-6 ? Math.round(wanted) : wanted;
    const grown = scale / this.#scale;
    this.#scale = scale;
    this.#left = at.x - (at.x - this.#left) * grown;
    this.#top = at.y - (at.y - this.#top) * grown;
    this.#apply();
  }

  panBy(across: number, down: number): void {
    this.#left += across;
    this.#top += down;
    this.#apply();
  }

  reset(): void {
    this.#scale = 1;
    this.#apply();
  }

  /** Pans as little as brings a place of the picture, in shares of it, into the frame. */
  reveal({ x, y }: Place): void {
    const [across, down] = [this.#left + x * this.#scale, this.#top + y * this.#scale];
    this.panBy(inside(across) - across, inside(down) - down);
  }

  #apply(): void {
    const least = 1 - this.#scale;
    this.#left = Math.min(Math.max(this.#left, least), 0);
    this.#top = Math.min(Math.max(this.#top, least), 0);
    const isZoomed = this.#scale > 1;
    for (const layer of this.#layers) {
      assign(layer, { "data-zoomed": isZoomed, "data-pixelated": this.#scale >= PIXELATED });
      layer.style.setProperty("--igw-zoom", String(this.#scale));
      layer.style.setProperty("--igw-left", `${this.#left * 100}%`);
      layer.style.setProperty("--igw-top", `${this.#top * 100}%`);
    }
    write(this.#factor, `${this.#scale.toFixed(1)}x`);
    // Not `disabled`, which would take the focus from the button that was just pressed.
    assign(this.#out, { "aria-disabled": String(!isZoomed) });
    assign(this.#reset, { "aria-disabled": String(!isZoomed) });
    assign(this.#in, { "aria-disabled": String(this.#scale === MOST) });
  }

  #wheel(frame: HTMLElement, layer: HTMLElement, signal: AbortSignal): void {
    const turn = (event: WheelEvent) => {
      // Touch pads report a pinch as a wheel with Ctrl. Without Ctrl the page scrolls.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE);
      const turned = Math.min(Math.max(pixels, -MOST_TURN), MOST_TURN);
      this.zoomBy(Math.exp(-turned / 100), placeIn(frame, layer, event));
    };
    listen(frame, "wheel", turn, signal, { passive: false });
  }

  #keys(frame: HTMLElement, signal: AbortSignal, cursor: () => Place | undefined): void {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const place = cursor();
      if (event.key.startsWith("Arrow")) {
        if (place !== undefined) this.reveal(place);
        return;
      }
      const at = place && {
        x: inside(this.#left + place.x * this.#scale),
        y: inside(this.#top + place.y * this.#scale),
      };
      if (event.key === "+" || event.key === "=") this.zoomBy(STEP, at);
      else if (event.key === "-") this.zoomBy(1 / STEP, at);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    };
    listen(frame, "keydown", press, signal);
  }
}

/** Pointers that pan and pinch a frame: the middle button, the space bar with any, two fingers. */
class Hand {
  readonly #frame: HTMLElement;
  readonly #layer: HTMLElement;
  readonly #zoom: Zoom;
  readonly #fingers = new Map<number, Place>();
  #isSpaceDown = false;
  #panning: { readonly pointer: number; at: Place } | undefined;

  constructor(frame: HTMLElement, layer: HTMLElement, zoom: Zoom, signal: AbortSignal) {
    this.#frame = frame;
    this.#layer = layer;
    this.#zoom = zoom;
    // Runs before the tools that draw and point, which ignore events that are prevented.
    const first = { capture: true };
    listen(frame, "pointerdown", (event) => this.#press(event), signal, first);
    listen(frame, "pointermove", (event) => this.#move(event), signal, first);
    for (const end of ["pointerup", "pointercancel"] as const)
      listen(frame, end, (event) => this.#release(event), signal, first);
    listen(frame, "keydown", (event) => this.#space(event, true), signal);
    listen(frame, "keyup", (event) => this.#space(event, false), signal);
    listen(frame, "blur", () => this.#hold(false), signal);
    // Otherwise the middle button scrolls the page.
    listen(frame, "mousedown", (event) => this.#pans(event) && event.preventDefault(), signal);
    // Otherwise two fingers scroll the page.
    listen(
      frame,
      "touchstart",
      (event) => event.touches.length > 1 && event.cancelable && event.preventDefault(),
      signal,
      { passive: false },
    );
  }

  #space(event: KeyboardEvent, isDown: boolean): void {
    if (event.key !== " ") return;
    if (this.#zoom.scale > 1) event.preventDefault();
    this.#hold(isDown);
  }

  #hold(isDown: boolean): void {
    this.#isSpaceDown = isDown;
    assign(this.#frame, { "data-grab": isDown && this.#zoom.scale > 1 });
  }

  #pans({ button }: MouseEvent): boolean {
    return this.#zoom.scale > 1 && (button === 1 || (button === 0 && this.#isSpaceDown));
  }

  #press(event: PointerEvent): void {
    const at = placeIn(this.#frame, this.#layer, event);
    if (event.pointerType === "touch") this.#fingers.set(event.pointerId, at);
    if (this.#fingers.size > 1) this.#panning = undefined;
    else if (this.#pans(event)) this.#panning = { pointer: event.pointerId, at };
    else return;
    event.preventDefault();
    this.#frame.setPointerCapture(event.pointerId);
  }

  #move(event: PointerEvent): void {
    const at = placeIn(this.#frame, this.#layer, event);
    const panning = this.#panning;
    if (panning?.pointer === event.pointerId) {
      this.#zoom.panBy(at.x - panning.at.x, at.y - panning.at.y);
      panning.at = at;
    }
    if (!this.#fingers.has(event.pointerId)) return;
    const before = this.#pair();
    this.#fingers.set(event.pointerId, at);
    const after = this.#pair();
    if (before === undefined || after === undefined) return;
    // Zoom first: a picture at factor 1 cannot be panned.
    this.#zoom.zoomBy(after.apart / before.apart, before.middle);
    this.#zoom.panBy(after.middle.x - before.middle.x, after.middle.y - before.middle.y);
  }

  #release(event: PointerEvent): void {
    this.#fingers.delete(event.pointerId);
    if (this.#panning?.pointer === event.pointerId) this.#panning = undefined;
  }

  /** Where the first two fingers are, and how far from each other on the screen. */
  #pair(): { readonly middle: Place; readonly apart: number } | undefined {
    const [one, other] = [...this.#fingers.values()];
    if (one === undefined || other === undefined) return undefined;
    const { offsetWidth, offsetHeight } = this.#layer;
    const apart = Math.hypot((one.x - other.x) * offsetWidth, (one.y - other.y) * offsetHeight);
    const middle = { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
    return { middle, apart: Math.max(apart, 1) };
  }
}

/** In shares of what the layer fills: a frame may be higher than a flat picture. */
function placeIn(frame: HTMLElement, layer: HTMLElement, { clientX, clientY }: MouseEvent): Place {
  const { left, top } = frame.getBoundingClientRect();
  return { x: (clientX - left) / layer.offsetWidth, y: (clientY - top) / layer.offsetHeight };
}

function inside(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}
