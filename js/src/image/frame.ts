/** Tells the style sheet the shape of a picture, so that it fits into the place that the stage has for it. */
export function frame(element: HTMLElement, width: number, height: number): void {
  element.style.setProperty("--igw-aspect", String(width / Math.max(height, 1)));
}
