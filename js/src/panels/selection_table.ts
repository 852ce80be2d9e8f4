import { panel } from "../charts/fold.js";
import { assign, button, div, html, write } from "../util/dom.js";
import { listen } from "../util/life.js";
import type { Selections } from "./selections.js";

/** One number about each region, or a word. */
export interface Column {
  readonly name: string;
  readonly value: (index: number) => string;
}

interface Row {
  readonly element: HTMLTableRowElement;
  readonly select: HTMLButtonElement;
  readonly cells: readonly HTMLElement[];
}

/** The regions by number, what is known of each, and the buttons to select one and to remove it. */
export class SelectionTable {
  readonly element: HTMLElement;
  readonly #regions: Selections<object>;
  readonly #columns: readonly Column[];
  readonly #body = html("tbody");
  readonly #table: HTMLTableElement;
  readonly #empty = html(
    "p",
    { class: "igw-note" },
    "None yet. Choose rectangle or lasso and draw on the attribution; or press Enter there, move by the arrow keys, and " +
      "press Enter again.",
  );
  #rows: Row[] = [];

  constructor(regions: Selections<object>, columns: readonly Column[], signal: AbortSignal) {
    this.#regions = regions;
    this.#columns = columns;
    const heads = ["region", ...columns.map(({ name }) => name)];
    this.#table = html(
      "table",
      { class: "igw-table" },
      html(
        "thead",
        {},
        html("tr", {}, ...heads.map((name) => html("th", { scope: "col" }, name)), html("td")),
      ),
      this.#body,
    );
    const scroller = div("igw-scroller", this.#table);
    listen(this.#body, "click", ({ target }) => this.#click(target), signal);
    this.element = panel("Regions", "regions-panel", this.#empty, scroller);
    regions.subscribe(() => this.draw(), signal);
    this.draw();
  }

  /** Brings rows and numbers up to date. */
  draw(): void {
    const count = this.#regions.get().length;
    assign(this.#empty, { hidden: count > 0 });
    assign(this.#table, { hidden: count === 0 });
    while (this.#rows.length < count) this.#append(this.#rows.length);
    for (const { element } of this.#rows.splice(count)) element.remove();
    this.#rows.forEach(({ element, select, cells }, index) => {
      const isSelected = index === this.#regions.selectedIndex;
      assign(element, { "data-selected": isSelected });
      assign(select, { "aria-pressed": String(isSelected) });
      this.#columns.forEach(({ value }, i) => {
        write(cells[i] as HTMLElement, value(index));
      });
    });
  }

  /** Rows stand for numbers, not for regions: what goes when one is removed is the last row. */
  #append(index: number): void {
    const number = String(index + 1);
    const select = button(number, { "aria-label": `select region ${number}` });
    const remove = button("×", {
      "aria-label": `remove region ${number}`,
      title: `remove region ${number}`,
    });
    const cells = this.#columns.map(() => html("td"));
    const element = html(
      "tr",
      {},
      html("th", { scope: "row" }, select),
      ...cells,
      html("td", {}, remove),
    );
    this.#rows.push({ element, select, cells });
    this.#body.append(element);
  }

  #click(target: EventTarget | null): void {
    const button = target instanceof Element ? target.closest("button") : null;
    const index = this.#rows.findIndex(({ element }) => element.contains(button));
    if (button === null || index < 0) return;
    if (button !== this.#rows[index]?.select) this.#remove(index);
    else this.#regions.select(index === this.#regions.selectedIndex ? undefined : index);
  }

  #remove(index: number): void {
    this.#regions.remove(index);
    // Else the focus is lost with the last row, and the person with it.
    const next = this.#rows[Math.min(index, this.#rows.length - 1)]?.select;
    (next ?? this.element.querySelector("summary"))?.focus();
  }
}
