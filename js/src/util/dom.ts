type Attributes = Readonly<Record<string, string | number | boolean>>;
export type Child = Node | string;

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Strings become text nodes, never markup: labels come from users. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  assign(element, attributes);
  element.append(...children);
  return element;
}

/** An SVG element, by the same rules. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  assign(element, attributes);
  element.append(...children);
  return element;
}

/** Sets attributes; `false` takes one away and `true` sets it empty. */
export function assign(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Replaces the text only where it differs, so that screen readers are not told twice. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A box of a class, with what is in it. */
export function div(name: string, ...children: Child[]): HTMLDivElement {
  return html("div", { class: name }, ...children);
}

export function span(name: string, ...children: Child[]): HTMLSpanElement {
  return html("span", { class: name }, ...children);
}

export function paragraph(name: string, ...children: Child[]): HTMLParagraphElement {
  return html("p", { class: name }, ...children);
}

export function button(text: string, attributes: Attributes = {}): HTMLButtonElement {
  return html("button", { type: "button", ...attributes }, text);
}
