import { onAbort } from "./life.js";

/** Calls `changed` with the width of an element now and at each change; not while it is hidden. */
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
