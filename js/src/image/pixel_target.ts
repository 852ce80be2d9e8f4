import type { Host } from "../core/kind.js";
import { split, targetAt } from "../core/target.js";
import { assign, button, div } from "../util/dom.js";
import { lifeWithin, listen, onAbort } from "../util/life.js";
import type { Overlay } from "./overlay.js";
import type { ImageTraits } from "./traits.js";

/**
 * Chooses the place of a dense output that is explained, as of a segmentation, by a click on any of the pictures, or by
 * Enter at the cross-hair; a frame on the pictures shows it. The output's grid lies over the whole picture, whatever its
 * stride.
 */
export class PixelTarget {
  readonly element = button("choose the pixel to explain", {
    "aria-pressed": "false",
    title: "Explains the model's output at the pixel of the next click on the picture.",
  });
  readonly #host: Host<ImageTraits>;
  readonly #overlay: Overlay;
  readonly #frame = div("igw-place");
  #life: AbortController | undefined;

  constructor(host: Host<ImageTraits>, overlay: Overlay) {
    const { traits, signal } = host;
    this.#host = host;
    this.#overlay = overlay;
    overlay.layer.append(this.#frame);
    listen(this.element, "click", () => this.#turn(), signal);
    traits.on(["target", "_scores"], () => this.#follow(), signal);
    this.#follow();
  }

  /** Rows and columns of the output; undefined where it is no grid. */
  get #grid(): readonly [rows: number, columns: number] | undefined {
    const { places } = this.#host.traits.meaning;
    const [rows, columns] = places;
    const isGrid = places.length === 2 && rows !== undefined && columns !== undefined;
    return isGrid && rows > 0 && columns > 0 ? [rows, columns] : undefined;
  }

  #follow(): void {
    const { traits } = this.#host;
    const grid = this.#grid;
    const [row, column] = split(traits.get("target"), traits.meaning).place;
    const isShown = grid !== undefined && row !== undefined && column !== undefined;
    this.element.hidden = grid === undefined || traits.isRecording;
    this.#frame.hidden = !isShown;
    if (!isShown) return;
    const [rows, columns] = grid;
    Object.assign(this.#frame.style, {
      left: `${(100 * column) / columns}%`,
      top: `${(100 * row) / rows}%`,
      width: `${100 / columns}%`,
      height: `${100 / rows}%`,
    });
  }

  #turn(): void {
    const isOn = this.#life !== undefined;
    this.#life?.abort();
    if (!isOn) this.#begin();
  }

  #begin(): void {
    const { root, signal: outer } = this.#host;
    const life = lifeWithin(outer);
    this.#life = life;
    const { signal } = life;
    this.#overlay.tool.cancel();
    assign(this.element, { "aria-pressed": "true" });
    assign(root, { "data-choosing": true });
    onAbort(signal, () => {
      this.#life = undefined;
      assign(this.element, { "aria-pressed": "false" });
      assign(root, { "data-choosing": false });
    });
    // Captured, before the tools of the picture hear of it.
    const click = (event: MouseEvent) => {
      const at = this.#shareAt(event);
      if (at === undefined) return;
      stop(event);
      this.#choose(...at);
    };
    const press = (event: Event) => {
      if (pictureOf(event) !== undefined) event.preventDefault();
    };
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape") life.abort();
      const at = event.key === "Enter" ? this.#shareOfCursor(event) : undefined;
      if (at === undefined) return;
      stop(event);
      this.#choose(...at);
    };
    listen(root, "click", click, signal, { capture: true });
    listen(root, "pointerdown", press, signal, { capture: true });
    listen(root, "keydown", key, signal, { capture: true });
    this.#overlay.element.focus();
  }

  /** Where a picture was clicked, as shares of its width and height; undefined beside all pictures. */
  #shareAt(event: MouseEvent): readonly [x: number, y: number] | undefined {
    const layer = pictureOf(event)?.firstElementChild;
    if (layer == null) return undefined;
    const { left, top, width, height } = layer.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : undefined;
  }

  #shareOfCursor({ target }: Event): readonly [x: number, y: number] | undefined {
    const { pixel, element } = this.#overlay;
    const { picture } = this.#host.store;
    if (target !== element || pixel === undefined || picture === undefined) return undefined;
    const [height = 1, width = 1] = picture.begin.display.shape;
    return [(pixel.column + 0.5) / width, (pixel.row + 0.5) / height];
  }

  #choose(x: number, y: number): void {
    const { traits } = this.#host;
    const grid = this.#grid;
    if (grid === undefined) return;
    const place = [Math.floor(y * grid[0]), Math.floor(x * grid[1])];
    const { index } = split(traits.get("target"), traits.meaning);
    this.#life?.abort();
    traits.set("target", targetAt(index ?? 0, place, traits.meaning));
    traits.flush();
  }
}

function pictureOf({ target }: Event): Element | undefined {
  return (target instanceof Element && target.closest(".igw-picture")) || undefined;
}

function stop(event: Event): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}
