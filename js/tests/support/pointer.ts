/** A pointer's event at a place of an element, in shares of its box; it goes up to the element's parents. */
export function pointer(
  element: Element,
  type: string,
  [x, y]: readonly [number, number],
  more: PointerEventInit = {},
): PointerEvent {
  const box = element.getBoundingClientRect();
  const event = new PointerEvent(type, {
    clientX: box.left + x * box.width,
    clientY: box.top + y * box.height,
    pointerId: 1,
    pointerType: "mouse",
    isPrimary: true,
    bubbles: true,
    cancelable: true,
    ...more,
  });
  element.dispatchEvent(event);
  return event;
}
