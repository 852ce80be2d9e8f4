import { vi } from "vitest";

const real = HTMLCanvasElement.prototype.getContext;

/** The WebGL2 contexts that are made from now to the end of the test, in their order. */
export function watchContexts(): WebGL2RenderingContext[] {
  const made: WebGL2RenderingContext[] = [];
  intercept((kind, get) => {
    const context = get();
    if (kind === "webgl2") made.push(context as WebGL2RenderingContext);
    return context;
  });
  return made;
}

/** Until the test ends, the browser has no WebGL2. */
export function withoutWebGL(): void {
  intercept((kind, get) => (kind === "webgl2" ? null : get()));
}

/** As the browser does it to the oldest of too many contexts; resolves once the page was told. */
export async function lose(context: WebGL2RenderingContext): Promise<() => void> {
  const loss = context.getExtension("WEBGL_lose_context");
  if (loss === null) throw new Error("this browser cannot lose a context on demand");
  const told = event(context, "webglcontextlost");
  loss.loseContext();
  await told;
  return () => loss.restoreContext();
}

/** Resolves in the task after the event has been handled. */
export function event(context: WebGL2RenderingContext, name: string): Promise<void> {
  return new Promise((resolve) => {
    context.canvas.addEventListener(name, () => setTimeout(resolve), { once: true });
  });
}

function intercept(answer: (kind: string, get: () => unknown) => unknown): void {
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockImplementation(function (
    this: HTMLCanvasElement,
    kind: string,
    ...rest: unknown[]
  ) {
    return answer(kind, () => Reflect.apply(real, this, [kind, ...rest]));
  } as typeof real);
}
