type Events = HTMLElementEventMap &
  DocumentEventMap & { webglcontextlost: Event; webglcontextrestored: Event };

/** Adds an event listener that is removed when `signal` aborts, so that nothing outlives its view. */
export function listen<K extends keyof Events>(
  target: EventTarget,
  type: K,
  act: (event: Events[K]) => void,
  signal: AbortSignal,
  options: AddEventListenerOptions = {},
): void {
  target.addEventListener(type, act as EventListener, { ...options, signal });
}

/** Calls `act` once, when `signal` aborts. */
export function onAbort(signal: AbortSignal, act: () => void): void {
  signal.addEventListener("abort", act, { once: true });
}

/** Returns a controller that aborts with `outer`, or earlier by itself. */
export function lifeWithin(outer: AbortSignal | undefined): AbortController {
  const life = new AbortController();
  if (outer?.aborted) life.abort();
  outer?.addEventListener("abort", () => life.abort(), { once: true, signal: life.signal });
  return life;
}
