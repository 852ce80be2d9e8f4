import type { Display } from "../core/protocol.js";
import type { Sign } from "../core/traits.js";
import { assign, div, html, span, write } from "../util/dom.js";
import { shorten, signed, significant } from "../util/format.js";
import { rowOf } from "./row.js";

interface Line {
  readonly element: HTMLElement;
  readonly value: HTMLElement;
  readonly bar: HTMLElement;
  readonly number: HTMLElement;
}

/** One line a feature: its name, its value, and a bar to the left or right of zero as long as its attribution. */
export class Bars {
  readonly element: HTMLElement;
  #lines: readonly Line[] = [];
  #names: readonly string[] = [];
  #lut: Uint8Array | undefined;

  constructor(role: "listbox" | "img") {
    this.element = html("div", { class: "igw-feature-list", role });
  }

  get lines(): readonly HTMLElement[] {
    return this.#lines.map(({ element }) => element);
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
  }

  show(display: Display): void {
    const { names } = rowOf(display);
    if (names === this.#names) return;
    this.#names = names;
    this.#lines = names.map((name) => {
      const [value, bar, number] = [span("igw-value"), div("igw-signed"), span("igw-value")];
      const label = span("igw-feature-name", shorten(name, 40));
      const element = div("igw-feature", label, value, div("igw-track", bar), number);
      // Named for `aria-activedescendant`, in a page with other explorers.
      assign(element, {
        role: "option",
        id: `igw-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`,
      });
      return { element, value, bar, number };
    });
    this.element.replaceChildren(...this.lines);
  }

  /** `values` of the features, and what they are attributed; bars end at the scale, where clipped ones are marked. */
  draw(values: Float32Array, attributed: Float32Array, scale: number, sign: Sign): void {
    this.#lines.forEach(({ element, value, bar, number }, i) => {
      const found = attributed[i] ?? 0;
      const isOff = (sign === "positive" && found < 0) || (sign === "negative" && found > 0);
      const share = isOff || scale === 0 ? 0 : Math.min(Math.max(found / scale, -1), 1);
      write(value, significant(values[i] ?? Number.NaN));
      write(number, signed(found));
      bar.style.left = `${50 + Math.min(50 * share, 0)}%`;
      bar.style.width = `${50 * Math.abs(share)}%`;
      const at = 3 * Math.floor((share * 0.5 + 0.5) * 255 + 0.5);
      bar.style.background = `rgb(${this.#lut?.subarray(at, at + 3).join(" ") ?? ""})`;
      assign(bar, { "data-clipped": !isOff && Math.abs(found) > scale });
      const name = this.#names[i] ?? "";
      const words = `value ${significant(values[i] ?? Number.NaN)}, attribution ${signed(found)}`;
      assign(element, { title: `${shorten(name, 200)}: ${words}` });
    });
  }
}

/** The heads of the columns. */
export function heads(): HTMLElement {
  const names = ["feature", "value at α", "", "attribution"];
  return div("igw-feature igw-heads", ...names.map((name) => html("span", {}, name)));
}
