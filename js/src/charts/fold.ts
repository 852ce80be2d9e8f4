import { html } from "../util/dom.js";

/** A part of the widget that can be folded away; its title is the handle. */
export function panel(title: string, name: string, ...children: Node[]): HTMLDetailsElement {
  return html(
    "details",
    { class: `igw-panel igw-aid igw-${name}`, open: true },
    html("summary", { class: "igw-title" }, title),
    ...children,
  );
}
