type Events = HTMLElementEventMap &
  DocumentEventMap & { webglcontextlost: Event; webglcontextrestored: Event };

/** Hears an event as long as `signal` lasts: nothing listens beyond the view that it belongs to. */
export function listen<K extends keyof Events>(
  target: EventTarget,
  type: K,
  act: (event: Events[K]) => void,
  signal: AbortSignal,
  options: AddEventListenerOptions = {},
): void {
  target.addEventListener(type, act as EventListener, { ...options, signal });
}

/** Does something once, at the end of what `signal` stands for. */
export function onAbort(signal: AbortSignal, act: () => void): void {
  signal.addEventListener("abort", act, { once: true });
}

/** What ends with `outer`, or before it. */
export function lifeWithin(outer: AbortSignal | undefined): AbortController {
  const life = new AbortController();
  if (outer?.aborted) life.abort();
  outer?.addEventListener("abort", () => life.abort(), { once: true, signal: life.signal });
  return life;
}
