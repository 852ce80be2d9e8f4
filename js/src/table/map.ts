import { balance } from "../charts/completeness.js";
import type { MapView, StaticMap } from "../core/kind.js";
import type { Begin } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import type { Look } from "../core/traits.js";
import { Changes } from "../util/changes.js";
import { assign, div, html, paragraph, span, write } from "../util/dom.js";
import { fixed, percent, shorten, signed, significant } from "../util/format.js";
import { listen } from "../util/life.js";
import { captioned } from "../util/parts.js";
import { Bars, heads } from "./bars.js";
import { rowOf } from "./row.js";

/** The bars of a row, of which one is pointed at, by the mouse or by keys. */
export class BarsMap implements MapView {
  readonly element: HTMLElement;
  readonly readout = html("p", { class: "igw-readout", "aria-live": "polite" });
  readonly #bars = new Bars("listbox");
  readonly #list = this.#bars.element;
  readonly #changes = new Changes();
  readonly #redraw: () => void;
  #picture: Picture | undefined;
  #attributed = new Float32Array();
  #pointed: number | undefined;

  constructor(redraw: () => void, signal: AbortSignal) {
    this.#redraw = redraw;
    this.#list.tabIndex = 0;
    this.element = div("igw-features", heads(), this.#list);
    const over = ({ target }: Event) => {
      const line = target instanceof Element ? target.closest<HTMLElement>(".igw-feature") : null;
      if (line !== null) this.#point(this.#bars.lines.indexOf(line));
    };
    // Not `pointerover`, which also comes where the list scrolls under a mouse at rest.
    listen(this.#list, "pointermove", over, signal);
    listen(this.#list, "pointerdown", over, signal);
    listen(
      this.#list,
      "pointerleave",
      (event) => event.pointerType === "mouse" && this.#point(-1),
      signal,
    );
    listen(this.#list, "keydown", (event) => this.#key(event), signal);
  }

  get pointed(): number | undefined {
    return this.#pointed;
  }

  follow(feature: number | undefined): void {
    const { lines } = this.#bars;
    for (const line of lines) assign(line, { "aria-selected": false });
    this.#pointed = lines[feature ?? -1] && feature;
    const line = lines[this.#pointed ?? -1];
    assign(this.#list, { "aria-activedescendant": line?.id ?? false });
    if (line !== undefined) assign(line, { "aria-selected": "true" });
  }

  paint(lut: Uint8Array): void {
    this.#bars.paint(lut);
    this.#changes.have();
  }

  show(picture: Picture): void {
    this.#picture = picture;
    this.#bars.show(picture.begin.display);
    this.#attributed = new Float32Array(picture.begin.display.size);
    this.follow(this.#pointed);
  }

  draw(look: Look, scale: number): void {
    const { alpha, sign } = look;
    const picture = this.#picture;
    assign(this.#list, { "aria-label": inWords(picture, alpha) });
    if (picture !== undefined && this.#changes.have(picture, alpha, scale, sign)) {
      picture.map.valuesAt(alpha, this.#attributed);
      this.#bars.draw(valuesAt(picture.begin, alpha), this.#attributed, scale, sign);
    }
    this.#read();
  }

  #point(feature: number): void {
    this.follow(feature < 0 ? undefined : feature);
    this.#redraw();
  }

  #key(event: KeyboardEvent): void {
    const last = this.#bars.lines.length - 1;
    const now = this.#pointed ?? -1;
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: last, Escape: -1 }[
      event.key
    ];
    if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    // Else the page scrolls away from under what is read.
    event.preventDefault();
    this.#point(next < 0 && event.key !== "Escape" ? 0 : Math.min(next, last));
    this.#bars.lines[this.#pointed ?? -1]?.scrollIntoView({ block: "nearest" });
  }

  #read(): void {
    const { begin, plan } = this.#picture ?? {};
    const feature = this.#pointed;
    if (begin === undefined || plan === undefined || feature === undefined) {
      write(this.readout, "Point at a feature, or use the arrow keys, to read it");
      return;
    }
    const { names, values, baseline } = rowOf(begin.display);
    const [value = 0, from = 0] = [values[feature], baseline[feature]];
    const collected = this.#attributed[feature] ?? 0;
    const share = percent(plan.sum === 0 ? Number.NaN : collected / plan.sum);
    const name = shorten(names[feature] ?? "", 40);
    const path = `from ${significant(from)} to ${significant(value)}`;
    write(this.readout, `${name}, ${path}: ${signed(collected)}, ${share} of the total`);
  }
}

/** Bars that do not move with alpha. */
export class StaticBars implements StaticMap {
  readonly element: HTMLElement;
  readonly #bars = new Bars("img");
  readonly #title = span("igw-title");
  readonly #note = paragraph("igw-collected");

  constructor(below: readonly Node[]) {
    const list = div("igw-features", this.#bars.element);
    this.element = captioned(
      "igw-figure igw-pane",
      [this.#title],
      list,
      this.#note,
      ...(below as HTMLElement[]),
    );
  }

  draw(begin: Begin, values: Float32Array, { sign }: Look, scale: number, lut: Uint8Array): void {
    this.#bars.show(begin.display);
    this.#bars.paint(lut);
    this.#bars.draw(rowOf(begin.display).values, values, scale, sign);
  }

  write(title: string, note: string, label: string): void {
    write(this.#title, title);
    write(this.#note, note);
    assign(this.#bars.element, { "aria-label": label });
  }
}

/** Of each feature; where the path is no straight line, of the input. */
function valuesAt({ display, path }: Begin, alpha: number): Float32Array {
  const { values, baseline } = rowOf(display);
  if (path !== "straight") return values;
  return values.map((value, i) => {
    const from = baseline[i] as number;
    return from + alpha * (value - from);
  });
}

function inWords(picture: Picture | undefined, alpha: number): string {
  if (picture === undefined) return "attribution of features: nothing sampled yet";
  const { begin, plan } = picture;
  const score = `${shorten(begin.outputName)} ${significant(balance(plan).atInput)}`;
  return `attribution of features: ${shorten(begin.targetName)}, ${score}, alpha ${fixed(alpha, 2)}`;
}
