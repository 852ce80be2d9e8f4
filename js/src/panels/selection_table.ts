import { assign, button, div, html, paragraph, write } from "../util/dom.js";
import { listen } from "../util/life.js";
import { unfolded } from "../util/parts.js";
import type { Selections } from "./selections.js";

/** A column of the table: its name, and its cell for each region. */
export interface Column {
  readonly name: string;
  readonly value: (index: number) => string;
}

interface Row {
  readonly element: HTMLTableRowElement;
  readonly select: HTMLButtonElement;
  readonly cells: readonly HTMLElement[];
}

/** A table of the regions, with buttons to select and to remove them. */
export class SelectionTable {
  readonly element: HTMLElement;
  readonly #regions: Selections<object>;
  readonly #columns: readonly Column[];
  readonly #body = html("tbody");
  readonly #table: HTMLTableElement;
  readonly #empty = paragraph(
    "igw-note",
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
    this.element = unfolded("Regions", "regions-panel", this.#empty, scroller);
    regions.subscribe(() => this.draw(), signal);
    this.draw();
  }

  /** Updates rows and numbers. */
  draw(): void {
    const count = this.#regions.get().length;
    this.#empty.hidden = count > 0;
    this.#table.hidden = count === 0;
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

  /** Rows belong to numbers, not to regions: if a region is removed, the last row goes. */
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
    // Otherwise the focus is lost with the last row.
    const next = this.#rows[Math.min(index, this.#rows.length - 1)]?.select;
    (next ?? this.element.querySelector("summary"))?.focus();
  }
}
