import { nameOf, shareOf, split, targetAt } from "../core/target.js";
import type { Traits } from "../core/traits.js";
import { assign, div, html, span, write } from "../util/dom.js";
import { shorten, tooltip } from "../util/format.js";
import { listen } from "../util/life.js";
import { Combobox, type Entry, type Group } from "./combobox.js";

/** A longer list is sorted by number, as sorting it by name would take a moment. */
const MOST_SORTED = 5000;

/** The class to explain, the first ones first, then any other by name; of a dense output also where. */
export class TargetChoice {
  readonly element: HTMLElement;
  readonly #traits: Traits;
  readonly #signal: AbortSignal;
  readonly #search: Combobox;
  /** In place of the list, where there is one output alone. */
  readonly #alone = span("igw-alone");
  readonly #assumed = span("igw-assumed");
  readonly #places = div("igw-places");
  /** All classes by name; built where the list is opened first, because there may be thousands. */
  #all: readonly Entry[] | undefined;

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.#signal = signal;
    const choose = (value: string) => this.#set(Number(value), this.#place);
    this.#search = new Combobox("target", () => this.#groups(), choose, this.#places, signal);
    this.element = div(
      "igw-field igw-target",
      span("igw-label", "target"),
      this.#assumed,
      this.#search.element,
      this.#alone,
    );
    const follow = () => this.#follow();
    const build = () => {
      this.#all = undefined;
      this.#search.refresh();
      this.#arrange();
    };
    traits.on(["target"], follow, signal);
    const renew = () => {
      this.#search.refresh();
      this.#follow();
    };
    traits.on(["_top"], renew, signal);
    traits.on(["_labels", "_n_classes", "_scores"], build, signal);
    this.#arrange();
  }

  get #place(): readonly number[] {
    return split(this.#traits.get("target"), this.#traits.meaning).place;
  }

  get #count(): number {
    return Math.max(this.#traits.get("_labels").length, this.#traits.get("_n_classes"));
  }

  #name(index: number): string {
    const traits = this.#traits;
    return nameOf(traits.get("_labels"), index, traits.meaning, this.#count);
  }

  #set(index: number, place: readonly number[]): void {
    this.#traits.set("target", targetAt(index, place, this.#traits.meaning));
    this.#traits.flush();
  }

  #offers(index: number): boolean {
    return this.#traits.offers("target", targetAt(index, this.#place, this.#traits.meaning));
  }

  #groups(): readonly Group[] {
    const { meaning } = this.#traits;
    const top = this.#traits.get("_top").map(([index, value]) => ({
      value: String(index),
      name: this.#name(index),
      note: shareOf(value, meaning),
      disabled: !this.#offers(index),
    }));
    const isTop = new Set(top.map(({ value }) => value));
    this.#all ??= this.#named();
    const { isRecording } = this.#traits;
    const others = this.#all.filter(
      ({ value }) => !isTop.has(value) && (!isRecording || this.#offers(Number(value))),
    );
    const plural = meaning.word === "class" ? "classes" : "outputs";
    return [
      { label: `top ${plural}`, entries: top },
      { label: `all ${plural}`, entries: others },
    ];
  }

  #named(): Entry[] {
    const labels = this.#traits.get("_labels");
    const seen = new Map<string, number>();
    for (const label of labels) seen.set(label, (seen.get(label) ?? 0) + 1);
    const all = Array.from({ length: this.#count }, (_, index) => {
      const isDouble = (seen.get(labels[index] ?? "") ?? 0) > 1 && (labels[index] ?? "") !== "";
      const name = this.#name(index);
      return { value: String(index), name: isDouble ? `${name} (${index})` : name };
    });
    if (all.length > MOST_SORTED) return all;
    const { compare } = new Intl.Collator(undefined, { numeric: true });
    return all.sort((a, b) => compare(a.name, b.name) || Number(a.value) - Number(b.value));
  }

  /** Shows the parts that the kind of output needs. */
  #arrange(): void {
    const { places, axis, kind, assumed, said } = this.#traits.meaning;
    const isSingle = this.#count <= 1 && places.length === 0;
    this.#search.element.hidden = isSingle;
    this.#alone.hidden = !isSingle;
    const words = kind === "raw" ? "read as a number" : "soft-max assumed";
    write(this.#assumed, assumed ? words : "");
    assign(this.#assumed, { title: said || false });
    this.#assumed.hidden = !assumed;
    // A number alone leaves nothing to choose, and nothing to say where its meaning is known.
    const top = this.#traits.get("_top");
    const isBare = top.length === 0 || (kind === "raw" && !assumed);
    this.element.hidden = isSingle && isBare && this.#isNumber;
    const names = places.length === 2 ? ["row", "column"] : places.map((_, i) => `place ${i + 1}`);
    this.#places.hidden = places.length === 0;
    this.#places.replaceChildren(
      ...places.map((size, i) =>
        this.#placeInput(places.length === 1 ? "place" : names[i], size, i),
      ),
    );
    assign(this.element, { "data-dense": axis === null || places.length > 0 });
    this.#follow();
  }

  get #isNumber(): boolean {
    return typeof this.#traits.get("target") === "number";
  }

  #placeInput(name = "", size: number, dimension: number): HTMLElement {
    const input = html("input", {
      type: "number",
      min: 0,
      max: size - 1,
      step: 1,
      "aria-label": `${name} that is explained`,
      title: `Which ${name} of the model's output is explained, from 0 to ${size - 1}.`,
    });
    const choose = () => {
      const place = [...this.#place];
      const wanted = Math.round(input.valueAsNumber);
      if (Number.isFinite(wanted) && place.length > 0) {
        place[dimension] = Math.min(Math.max(wanted, 0), size - 1);
        this.#set(split(this.#traits.get("target"), this.#traits.meaning).index ?? 0, place);
      }
      this.#follow();
    };
    listen(input, "change", choose, this.#signal);
    return html("label", {}, span("igw-label", name), input);
  }

  #follow(): void {
    const target = this.#traits.get("target");
    const { meaning } = this.#traits;
    const labels = this.#traits.get("_labels");
    const { index, place } = split(target, meaning);
    const label = index === undefined ? String(target) : (labels[index] ?? "");
    const own = index === undefined ? shorten(String(target)) : this.#name(index);
    const name = place.length > 0 ? `${own} at (${place.join(", ")})` : own;
    const told = [
      tooltip(label),
      "What is explained; type to search.",
      meaning.assumed && meaning.said,
    ];
    this.#search.show(String(index ?? target), name, told.filter(Boolean).join(" · "));
    const share = this.#traits.get("_top").find(([own]) => own === index)?.[1];
    write(this.#alone, share === undefined ? name : `${name} ${shareOf(share, meaning)}`);
    [...this.#places.querySelectorAll("input")].forEach((input, i) => {
      input.value = String(place[i] ?? "");
    });
  }
}
