import type { Selections } from "../panels/selections.js";
import { assign, html, svg } from "../util/dom.js";
import { anchorOf, outlineOf } from "./outline.js";
import type { Region } from "./region.js";
import type { Surface } from "./surface.js";

/** Draws the borders and numbers of the regions, visible on light and dark; ignores the pointer. */
export class RegionOutlines {
  readonly element: HTMLElement;
  readonly #surface: Surface;
  readonly #frame = svg("svg", { preserveAspectRatio: "none" });
  readonly #numbers = html("div");

  constructor(surface: Surface) {
    this.#surface = surface;
    // Hidden from screen readers: the table of regions has the same in words.
    this.element = html(
      "div",
      { class: "igw-outlines", "aria-hidden": "true" },
      this.#frame,
      this.#numbers,
    );
  }

  /** `draft` is the region being drawn. */
  draw(regions: Selections<Region>, draft: Region | undefined): void {
    const all = regions.get();
    this.#frame.replaceChildren(
      ...all.flatMap((region, i) => this.#lines(region, i === regions.selectedIndex)),
      ...(draft === undefined ? [] : this.#lines(draft, false)),
    );
    this.#numbers.replaceChildren(
      ...all.map((region, i) => this.#number(region, i, i === regions.selectedIndex)),
    );
    this.place();
  }

  /** After the picture was moved under it. */
  place(): void {
    const { width } = this.#surface;
    if (width > 0) assign(this.#frame, { viewBox: this.#surface.viewBox });
    for (const number of this.#numbers.children) {
      const { dataset, style } = number as HTMLElement;
      const [x, y] = this.#surface.toShare([Number(dataset.x), Number(dataset.y)]);
      style.left = `${100 * x}%`;
      style.top = `${100 * y}%`;
    }
  }

  #lines(region: Region, isSelected: boolean): SVGElement[] {
    const { width, height } = this.#surface;
    const d = outlineOf(region, width, height);
    const line = (name: string) =>
      svg("path", { d, class: `igw-outline-${name}`, "data-selected": isSelected });
    return [line("casing"), line("dash")];
  }

  #number(region: Region, index: number, isSelected: boolean): HTMLElement {
    const { width, height } = this.#surface;
    const [x, y] = anchorOf(region, width, height);
    return html(
      "span",
      { class: "igw-number", "data-selected": isSelected, "data-x": x, "data-y": y },
      String(index + 1),
    );
  }
}
