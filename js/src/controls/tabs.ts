import { assign, button, div, html } from "../util/dom.js";
import { listen } from "../util/life.js";

export interface Tab {
  /** Also what is written on it. */
  readonly name: string;
  /** One sentence that says what is there. */
  readonly title: string;
  readonly elements: readonly HTMLElement[];
  /** Called as it is opened or left. */
  readonly show?: (isOpen: boolean) => void;
}

/** Panels of which one is open at a time, with the keys of the ARIA pattern: arrows, Home and End. */
export class Tabs {
  readonly element: HTMLElement;
  readonly #tabs: readonly {
    readonly tab: Tab;
    readonly head: HTMLElement;
    readonly body: HTMLElement;
  }[];
  #open: string | undefined;

  constructor(label: string, tabs: readonly Tab[], signal: AbortSignal) {
    // Unique in the page, where there may be many views.
    const id = `igw-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    this.#tabs = tabs.map((tab, i) => ({ tab, ...made(tab, `${id}-${i}`) }));
    const list = html(
      "div",
      { class: "igw-tabs", role: "tablist", "aria-label": label },
      ...this.#tabs.map(({ head }) => head),
    );
    this.element = div("igw-bench", list, ...this.#tabs.map(({ body }) => body));
    for (const { tab, head } of this.#tabs)
      listen(head, "click", () => this.open(tab.name), signal);
    listen(list, "keydown", (event) => this.#key(event), signal);
    const [first] = tabs;
    if (first !== undefined) this.open(first.name);
  }

  get opened(): string | undefined {
    return this.#open;
  }

  /** Opens a panel and leaves the one before; nothing happens where there is none of that name. */
  open(name: string): void {
    const now = this.#tabs.find(({ tab }) => tab.name === name);
    if (now === undefined || name === this.#open) return;
    const before = this.#tabs.find(({ tab }) => tab.name === this.#open);
    this.#open = name;
    for (const { head, body } of this.#tabs) {
      const isOpen = head === now.head;
      assign(head, { "aria-selected": String(isOpen), tabindex: isOpen ? 0 : -1 });
      body.hidden = !isOpen;
    }
    before?.tab.show?.(false);
    now.tab.show?.(true);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const count = this.#tabs.length;
    const now = this.#tabs.findIndex(({ tab }) => tab.name === this.#open);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: count - 1 }[event.key];
    const chosen = next === undefined ? undefined : this.#tabs[(next + count) % count];
    if (chosen === undefined) return;
    event.preventDefault();
    this.open(chosen.tab.name);
    chosen.head.focus();
  }
}

function made({ name, title, elements }: Tab, id: string) {
  const head = button(name, { role: "tab", id, title, "aria-controls": `${id}-panel` });
  const body = html(
    "div",
    // Keys can scroll only what can have the focus.
    {
      class: "igw-tabpanel",
      role: "tabpanel",
      id: `${id}-panel`,
      "aria-labelledby": id,
      tabindex: 0,
      hidden: true,
    },
    ...elements,
  );
  return { head, body };
}
