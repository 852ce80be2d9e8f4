import type { Host } from "../core/kind.js";
import type { Traits } from "../core/traits.js";
import { assign, button, div, html, span, write } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen, onAbort } from "../util/life.js";
import type { StripTraits, Thumbnail } from "./strip_traits.js";
import type { ImageTraits } from "./traits.js";

/** More buttons than these are slow to lay out; of more pictures those around the current one are shown. */
const MOST = 1000;

/** Several pictures in one row, of which one is shown: small pictures, previous and next, arrow keys. */
export class Strip {
  readonly element: HTMLElement;
  readonly #root: HTMLElement;
  readonly #traits: Traits<ImageTraits & StripTraits>;
  readonly #row = div("igw-inputs-row");
  readonly #count = span("igw-value");
  readonly #buttons = new Map<string, HTMLButtonElement>();
  /** Of each picture that the kernel has sent small; "" where it cannot be read. */
  readonly #urls = new Map<string, string>();
  #names: readonly string[] = [];

  constructor({ root, traits, signal }: Host<ImageTraits>) {
    this.#root = root;
    this.#traits = traits;
    const previous = button("‹", { "aria-label": "previous picture", title: "Previous picture" });
    const next = button("›", { "aria-label": "next picture", title: "Next picture" });
    assign(this.#row, { role: "group", "aria-label": "pictures" });
    this.element = html("div", { class: "igw-inputs" }, previous, this.#row, next, this.#count);
    listen(previous, "click", () => this.#step(-1, true), signal);
    listen(next, "click", () => this.#step(1, true), signal);
    listen(this.#row, "keydown", (event) => this.#key(event), signal);
    listen(this.#row, "keyup", () => traits.flush(), signal);
    listen(this.#row, "scroll", () => this.#request(), signal);
    traits.on(["_inputs"], () => this.#build(), signal);
    traits.on(["input"], () => this.#follow(), signal);
    traits.on(["_thumbnails"], () => this.#draw(traits.get("_thumbnails")), signal);
    onAbort(signal, () => this.#forget());
    this.#build();
  }

  #build(): void {
    const all = this.#traits.get("_inputs");
    const middle = Math.max(all.indexOf(this.#traits.get("input")), 0);
    const first = Math.max(0, Math.min(middle - MOST / 2, all.length - MOST));
    this.#names = all.slice(first, first + MOST);
    this.#forget();
    const isAlone = all.length < 2 || this.#traits.isRecording;
    this.element.hidden = isAlone;
    assign(this.#root, { "data-strip": !isAlone });
    if (isAlone) return;
    for (const name of this.#names) {
      const one = button("", {
        title: shorten(name, 200),
        "aria-label": `picture ${shorten(name, 200)}`,
      });
      one.addEventListener("click", () => this.#choose(name, true));
      this.#buttons.set(name, one);
    }
    this.#row.replaceChildren(...this.#buttons.values());
    this.#draw(this.#traits.get("_thumbnails"));
    this.#follow();
    // Its width is known once it is in the page.
    requestAnimationFrame(() => {
      this.#scroll();
      this.#request();
    });
  }

  /** Marks the picture that is shown; of all buttons it alone is reached by the tabulator. */
  #follow(): void {
    const all = this.#traits.get("_inputs");
    const name = this.#traits.get("input");
    const index = all.indexOf(name);
    if (index >= 0 && !this.#buttons.has(name) && !this.element.hidden) {
      this.#build();
      return;
    }
    for (const [own, one] of this.#buttons)
      assign(one, { "aria-current": own === name && "true", tabindex: own === name ? 0 : -1 });
    write(this.#count, `${index + 1} of ${all.length}`);
    this.#scroll();
  }

  #scroll(): void {
    const one = this.#buttons.get(this.#traits.get("input"));
    if (one === undefined) return;
    const { offsetLeft, offsetWidth } = one;
    const { scrollLeft, clientWidth } = this.#row;
    const left = offsetLeft - this.#row.offsetLeft;
    // Not `scrollIntoView`, which would move the page.
    if (left < scrollLeft || left + offsetWidth > scrollLeft + clientWidth)
      this.#row.scrollLeft = left - (clientWidth - offsetWidth) / 2;
  }

  /** Asks for the small pictures that are in view and missing. */
  #request(): void {
    const { scrollLeft, clientWidth } = this.#row;
    const buttons = [...this.#buttons];
    const size = buttons[0]?.[1].offsetWidth ?? 0;
    if (size === 0) return;
    const from = Math.floor(scrollLeft / (size + GAP));
    const to = Math.ceil((scrollLeft + clientWidth) / (size + GAP)) + 1;
    const missing = buttons.slice(from, to).find(([name]) => !this.#urls.has(name));
    if (missing === undefined) return;
    this.#traits.set("_strip", this.#traits.get("_inputs").indexOf(missing[0]));
    this.#traits.flush();
  }

  #draw(thumbnails: readonly Thumbnail[]): void {
    for (const { name, picture } of thumbnails) {
      const one = this.#buttons.get(name);
      if (one === undefined || this.#urls.has(name)) continue;
      const { buffer, byteOffset, byteLength } = picture;
      const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
      const url = byteLength > 0 ? URL.createObjectURL(new Blob([bytes])) : "";
      this.#urls.set(name, url);
      if (url) one.replaceChildren(html("img", { src: url, alt: "", draggable: false }));
      else assign(one, { disabled: true, title: `${shorten(name, 200)} cannot be read` });
    }
    this.#request();
  }

  #key(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      Home: Number.NEGATIVE_INFINITY,
      End: Number.POSITIVE_INFINITY,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#step(step, false);
    this.#buttons.get(this.#traits.get("input"))?.focus({ preventScroll: true });
  }

  /** Goes on to the next picture that can be read, or to the first or last. */
  #step(step: number, isSettled: boolean): void {
    const all = this.#traits.get("_inputs").filter((name) => this.#urls.get(name) !== "");
    const at = all.indexOf(this.#traits.get("input")) + step;
    const name = all[Math.max(0, Math.min(at, all.length - 1))];
    if (name !== undefined) this.#choose(name, isSettled);
  }

  /** While a key is held down only some of the pictures are asked for. */
  #choose(name: string, isSettled: boolean): void {
    this.#traits.set("input", name);
    if (isSettled) this.#traits.flush();
  }

  #forget(): void {
    for (const url of this.#urls.values()) if (url) URL.revokeObjectURL(url);
    this.#urls.clear();
    this.#buttons.clear();
    this.#row.replaceChildren();
  }
}

/** Between two pictures, as the style sheet has it. */
const GAP = 4;
