import { assign, div, html, write } from "../util/dom.js";
import { listen, onAbort } from "../util/life.js";

/** One entry of the list. Its texts are shown as text, whatever is in them. */
export interface Entry {
  readonly value: string;
  /** What is searched and shown. */
  readonly name: string;
  /** Shown beside the name. */
  readonly note?: string;
  readonly disabled?: boolean;
}

export interface Group {
  readonly label: string;
  readonly entries: readonly Entry[];
}

/** So many lines are made at a time: of 20,000 nobody scrolls through all. */
const LINES = 100;
const PAGE = 10;
/** In pixels: the field may be narrower than names are. */
const LEAST_WIDTH = 280;
let count = 0;

/**
 * A text field over a list that it filters as one types: arrows move, Enter and a click choose, Escape and leaving put
 * the chosen name back. The pattern is ARIA's combobox with a listbox.
 */
export class Combobox {
  readonly element: HTMLElement;
  readonly #id = `igw-options-${++count}`;
  readonly #input: HTMLInputElement;
  readonly #list: HTMLElement;
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite", hidden: true });
  readonly #popup: HTMLElement;
  readonly #footer: HTMLElement;
  #isOpen = false;
  readonly #groups: () => readonly Group[];
  readonly #choose: (value: string) => void;
  /** What the list holds now, of which the first lines are made. */
  #found: readonly (Entry | string)[] = [];
  #made = 0;
  #lines: HTMLElement[] = [];
  #active = -1;
  #chosen = { value: "", name: "" };

  /** `groups` is asked each time the list opens; `footer` stands below it, and may hold further fields. */
  constructor(
    label: string,
    groups: () => readonly Group[],
    choose: (value: string) => void,
    footer: HTMLElement,
    signal: AbortSignal,
  ) {
    this.#footer = footer;
    this.#groups = groups;
    this.#choose = choose;
    this.#input = html("input", {
      type: "text",
      role: "combobox",
      "aria-label": label,
      "aria-expanded": "false",
      "aria-controls": this.#id,
      "aria-autocomplete": "list",
      autocomplete: "off",
      spellcheck: "false",
    });
    const list = { id: this.#id, role: "listbox", "aria-label": `${label}s`, class: "igw-options" };
    this.#list = html("div", list);
    this.#popup = div("igw-popup", this.#list, this.#note, footer);
    this.#popup.hidden = true;
    // Above all that is on the page: whatever holds the field may cut off what does not fit into it.
    assign(this.#popup, { popover: "manual" });
    this.element = div("igw-combobox", this.#input, this.#popup);
    this.#listen(signal);
    onAbort(signal, () => this.#close());
  }

  /** Shows what is chosen; what is being typed stays. `title`: what the pointer and screen readers are told. */
  show(value: string, name: string, title: string): void {
    this.#chosen = { value, name };
    assign(this.#input, { "data-value": value, title });
    if (!this.isOpen) this.#input.value = name;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Fills the open list anew, as when its entries have changed. */
  refresh(): void {
    if (this.isOpen) this.#fill(this.#query);
  }

  /** What is typed; nothing while the chosen name stands there. */
  get #query(): string {
    const { value } = this.#input;
    return value === this.#chosen.name ? "" : value;
  }

  #listen(signal: AbortSignal): void {
    const input = this.#input;
    listen(input, "focus", () => input.select(), signal);
    listen(input, "click", () => this.#open(), signal);
    listen(input, "input", () => this.#open(), signal);
    const leave = ({ relatedTarget }: FocusEvent) => {
      const isWithin = relatedTarget instanceof Node && this.element.contains(relatedTarget);
      if (!isWithin) this.#close();
    };
    listen(this.element, "focusout", leave, signal);
    listen(input, "keydown", (event) => this.#key(event), signal);
    listen(this.#footer, "keydown", (event) => this.#footerKey(event), signal);
    // The text field keeps the focus, unless another is clicked.
    const keep = (event: Event) => {
      const isBelow = event.target instanceof Node && this.#footer.contains(event.target);
      if (!isBelow) event.preventDefault();
    };
    listen(this.#popup, "pointerdown", keep, signal);
    listen(this.#popup, "mousedown", keep, signal);
    // The list follows the field where the page scrolls below it.
    const follow = () => this.isOpen && this.#place();
    listen(window, "scroll", follow, signal, { capture: true, passive: true });
    listen(window, "resize", follow, signal);
    const lineOf = ({ target }: Event) =>
      this.#lines.findIndex((line) => target instanceof Node && line.contains(target));
    // Not `pointerover`, which also comes where the list scrolls under a mouse at rest.
    const point = (event: Event) => {
      const line = lineOf(event);
      if (line >= 0) this.#activate(line, false);
    };
    listen(this.#list, "pointermove", point, signal);
    listen(this.#list, "click", (event) => this.#take(lineOf(event)), signal);
    listen(this.#list, "scroll", () => this.#scrolled(), signal);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.isComposing) return;
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: PAGE,
      PageUp: -PAGE,
    };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      if (this.isOpen) this.#move(move);
      else this.#open();
    } else if (event.key === "Enter" && this.isOpen) {
      event.preventDefault();
      this.#take(this.#active);
    } else if (event.key === "Escape" && this.isOpen) {
      event.preventDefault();
      this.#close();
      this.#input.select();
    }
  }

  #footerKey(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    event.preventDefault();
    this.#input.focus();
    this.#close();
  }

  #open(): void {
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#popup.hidden = false;
      // Browsers from before 2024 have no popovers, and show it in its place.
      this.#popup.showPopover?.();
    }
    assign(this.#input, { "aria-expanded": "true" });
    this.#fill(this.#query);
    this.#place();
  }

  /** Puts the list below the field, or above it where there is more room. */
  #place(): void {
    const { left, top, bottom, width } = this.#input.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const isBelow = clientHeight - bottom > Math.min(320, top);
    Object.assign(this.#popup.style, {
      width: `${Math.max(width, Math.min(LEAST_WIDTH, clientWidth - 16))}px`,
      left: `${Math.max(8, Math.min(left, clientWidth - LEAST_WIDTH - 8))}px`,
      top: isBelow ? `${bottom + 2}px` : "auto",
      bottom: isBelow ? "auto" : `${clientHeight - top + 2}px`,
    });
  }

  #close(): void {
    if (this.#isOpen && this.#popup.isConnected) this.#popup.hidePopover?.();
    this.#isOpen = false;
    this.#popup.hidden = true;
    assign(this.#input, { "aria-expanded": "false", "aria-activedescendant": false });
    this.#input.value = this.#chosen.name;
  }

  #fill(query: string): void {
    this.#found = query.trim() === "" ? flat(this.#groups()) : matching(this.#groups(), query);
    this.#list.replaceChildren();
    this.#lines = [];
    this.#made = 0;
    this.#active = -1;
    this.#extend();
    const nothing = this.#found.length === 0;
    write(this.#note, nothing ? "Nothing is called so." : "");
    this.#note.hidden = !nothing;
    const at = this.#lines.findIndex(({ dataset }) => dataset.value === this.#chosen.value);
    this.#activate(query.trim() === "" && at >= 0 ? at : this.#next(-1, 1), true);
  }

  /** Makes more lines. A text among what was found is the heading of a group. */
  #extend(): void {
    const more = this.#found.slice(this.#made, this.#made + LINES);
    this.#made += more.length;
    for (const one of more) {
      if (typeof one === "string") {
        this.#list.append(html("div", { class: "igw-group-name", role: "presentation" }, one));
        continue;
      }
      const line = html(
        "div",
        {
          id: `${this.#id}-${this.#lines.length}`,
          role: "option",
          class: "igw-option",
          "aria-selected": String(one.value === this.#chosen.value),
          "aria-disabled": one.disabled === true ? "true" : false,
          "data-value": one.value,
        },
        html("span", { class: "igw-option-name" }, one.name),
        ...(one.note === undefined ? [] : [html("span", { class: "igw-option-note" }, one.note)]),
      );
      this.#lines.push(line);
      this.#list.append(line);
    }
  }

  #scrolled(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.#list;
    if (scrollTop + 2 * clientHeight > scrollHeight && this.#made < this.#found.length)
      this.#extend();
  }

  #move(by: number): void {
    while (this.#active + by >= this.#lines.length && this.#made < this.#found.length)
      this.#extend();
    const last = this.#lines.length - 1;
    const to = Math.min(Math.max(this.#active + by, 0), last);
    this.#activate(this.#next(to - Math.sign(by), Math.sign(by), this.#active), true);
  }

  /** The next line that can be chosen; `otherwise` where there is none. */
  #next(from: number, step: number, otherwise = -1): number {
    for (let line = from + step; line >= 0 && line < this.#lines.length; line += step)
      if (!this.#lines[line]?.hasAttribute("aria-disabled")) return line;
    return otherwise;
  }

  #activate(line: number, scrolls: boolean): void {
    if (this.#lines[line]?.hasAttribute("aria-disabled")) return;
    const before = this.#lines[this.#active];
    if (before) assign(before, { "data-active": false });
    this.#active = line;
    const now = this.#lines[line];
    assign(this.#input, { "aria-activedescendant": now?.id ?? false });
    if (now === undefined) return;
    assign(now, { "data-active": true });
    // Not `scrollIntoView`, by which the page would scroll too.
    const { offsetTop, offsetHeight } = now;
    const { scrollTop, clientHeight } = this.#list;
    if (scrolls && offsetTop < scrollTop) this.#list.scrollTop = line === 0 ? 0 : offsetTop;
    if (scrolls && offsetTop + offsetHeight > scrollTop + clientHeight)
      this.#list.scrollTop = offsetTop + offsetHeight - clientHeight;
  }

  #take(line: number): void {
    const chosen = this.#lines[line];
    if (chosen === undefined || chosen.hasAttribute("aria-disabled")) return;
    const { value = "" } = chosen.dataset;
    const name = chosen.firstElementChild?.textContent ?? "";
    this.#chosen = { value, name };
    this.#close();
    this.#choose(value);
  }
}

function flat(groups: readonly Group[]): (Entry | string)[] {
  return groups.flatMap(({ label, entries }) => (entries.length > 0 ? [label, ...entries] : []));
}

/** The entries whose names hold all words, those that begin so first; a number finds its value as well. */
function matching(groups: readonly Group[], query: string): Entry[] {
  const wanted = fold(query).trim();
  const words = wanted.split(/\s+/);
  const ranked: Entry[][] = [[], [], []];
  const seen = new Set<string>();
  for (const { entries } of groups)
    for (const entry of entries) {
      if (seen.has(entry.value)) continue;
      const name = folded(entry);
      const holds = words.every((word) => name.includes(word));
      if (!holds && entry.value !== wanted) continue;
      seen.add(entry.value);
      ranked[name.startsWith(wanted) ? 0 : name.includes(` ${wanted}`) ? 1 : 2]?.push(entry);
    }
  return ranked.flat();
}

/** Folding thousands of names takes longer than a key press should. */
const known = new WeakMap<Entry, string>();

function folded(entry: Entry): string {
  const name = known.get(entry) ?? fold(entry.name);
  known.set(entry, name);
  return name;
}

/** Case and accents aside. */
function fold(text: string): string {
  return text
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();
}
