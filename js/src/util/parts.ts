import { type Child, html, span } from "./dom.js";

/** A control with its label before it. */
export function withLabel(label: string, name: string, ...children: Child[]): HTMLLabelElement {
  return html("label", { class: `igw-field ${name}` }, span("igw-label", label), ...children);
}

/** A figure with its title and what stands beside that. */
export function captioned(
  name: string,
  [title = "", ...notes]: readonly Child[],
  ...children: Child[]
): HTMLElement {
  const first = typeof title === "string" ? span("igw-title", title) : title;
  const caption = html("figcaption", { class: "igw-caption" }, first, ...notes);
  return html("figure", { class: name }, caption, ...children);
}

/** A section that is folded at first; the title unfolds it. */
export function fold(name: string, title: string, ...children: Child[]): HTMLDetailsElement {
  return html("details", { class: `igw-fold ${name}` }, html("summary", {}, title), ...children);
}

/** A section that is open at first; its title folds it away. */
export function unfolded(title: string, name: string, ...children: Child[]): HTMLDetailsElement {
  return html(
    "details",
    { class: `igw-panel igw-aid igw-${name}`, open: true },
    html("summary", { class: "igw-title" }, title),
    ...children,
  );
}

/** A scrolling table; its rows are filled in later. */
export function numbers(
  heads: readonly string[],
  label: string,
  rows: HTMLElement,
  ...below: Child[]
): HTMLElement {
  const head = html("tr", {}, ...heads.map((text) => html("th", { scope: "col" }, text)));
  const table = html("table", {}, html("thead", {}, head), rows);
  // Keys can scroll only what can have the focus.
  const scrolled = { class: "igw-numbers", role: "region", tabindex: 0, "aria-label": label };
  return html("div", scrolled, table, ...below);
}
