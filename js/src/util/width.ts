import { onAbort } from "./life.js";

/** Calls with an element's width now and whenever it changes; not while it is folded away. */
export function onWidth(
  element: Element,
  changed: (width: number) => void,
  signal: AbortSignal,
): void {
  let last = 0;
  const observer = new ResizeObserver(([entry]) => {
    const width = entry?.contentRect.width ?? 0;
    if (width > 0 && width !== last) changed(width);
    last = width || last;
  });
  observer.observe(element);
  onAbort(signal, () => observer.disconnect());
}
