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
export function whenOver(signal: AbortSignal, act: () => void): void {
  signal.addEventListener("abort", act, { once: true });
}
