import { assign, div, html, paragraph, span, write } from "../util/dom.js";
import { percent, shorten, significant, tooltip } from "../util/format.js";
import { listen } from "../util/life.js";
import type { Card } from "./baselines.js";

/** Where a source pixel covers more, its edges are drawn sharp. */
const SHARP = 1.5;
const THUMBNAIL = 52;

/** A small card of one baseline, which chooses it; `release` frees its picture and listeners. */
export class CardView {
  readonly element: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #name = span("igw-card-name");
  readonly #numbers = div("igw-card-numbers");
  #image: HTMLImageElement | undefined;
  readonly #life = new AbortController();
  #card: Card | undefined;
  #url = "";

  /** `kind`: the baseline as it is on offer. */
  constructor(kind: string, choose: () => void) {
    const { signal } = this.#life;
    this.#button = html(
      "button",
      { type: "button", "aria-label": `baseline ${shorten(kind, 80)}`, "aria-pressed": false },
      div("igw-card-text", this.#name, this.#numbers),
    );
    this.element = div("igw-card", this.#button);
    listen(this.#button, "click", choose, signal);
  }

  /** `card`: what is known of this baseline with these parameters; undefined while it is not known. */
  show(words: string, card: Card | undefined, isChosen: boolean): void {
    write(this.#name, shorten(words, 40));
    assign(this.#button, { "aria-pressed": String(isChosen) });
    assign(this.element, { "data-chosen": isChosen });
    const description = shorten(card?.description ?? words, 400);
    assign(this.#button, { title: `Makes this the baseline: ${description}.` });
    if (card === this.#card) return;
    this.#card = card;
    this.#picture(card?.thumbnail);
    this.#numbers.replaceChildren(...(card === undefined ? [] : numbersOf(card)));
  }

  release(): void {
    if (this.#url !== "") URL.revokeObjectURL(this.#url);
    this.#life.abort();
  }

  #picture(thumbnail: DataView | undefined): void {
    if (this.#url !== "") URL.revokeObjectURL(this.#url);
    this.#url = "";
    this.#image?.remove();
    if (thumbnail === undefined || thumbnail.byteLength === 0) return;
    const { buffer, byteOffset, byteLength } = thumbnail;
    const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
    this.#url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    const image = html("img", { src: this.#url, alt: "", draggable: false });
    const sharpen = () => {
      const pixels = Math.max(image.naturalWidth, image.naturalHeight);
      assign(image, { "data-pixelated": SHARP * pixels < THUMBNAIL * devicePixelRatio });
    };
    listen(image, "load", sharpen, this.#life.signal);
    this.#image = image;
    this.#button.prepend(image);
  }
}

function numbersOf({ output, top, neutral }: Card): HTMLElement[] {
  const [first] = top;
  const likeliest = first && `${shorten(first[0], 24)} ${percent(first[1], 0)}`;
  return [
    span("", `F(x′) ${significant(output)}`),
    ...(likeliest === undefined ? [] : [span(neutral ? "" : "igw-warning", likeliest)]),
  ];
}

/** All that is known of one baseline. */
export function detailOf(card: Card): HTMLElement[] {
  const { name, description, output, top, entropy, neutral } = card;
  const [bits, most] = entropy;
  const [first] = top;
  return [
    ...(description === name
      ? []
      : [html("p", { title: tooltip(description, 200) }, shorten(description, 200))]),
    html("p", {}, `F(x′) ${significant(output)}`),
    html(
      "ul",
      {},
      ...top.map(([label, p]) => html("li", {}, `${shorten(label, 28)} ${percent(p, 0)}`)),
    ),
    // Of models with classes alone.
    ...(most === 0
      ? []
      : [paragraph("igw-note", `entropy ${bits.toFixed(1)} of ${most.toFixed(1)} bits`)]),
    // A model that recognises something in the baseline sees no absence there.
    ...(neutral || first === undefined
      ? []
      : [
          paragraph(
            "igw-warning",
            `not neutral: the model calls it “${shorten(first[0], 28)}” ${first[1].toFixed(2)}`,
          ),
        ]),
  ];
}
