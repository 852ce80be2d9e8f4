import type { AnyModel } from "@anywidget/types";
import type { FromKernel, ToKernel } from "../../src/core/protocol.js";
import type { ImageTraits } from "../../src/image/traits.js";

type Listener = (...values: never[]) => void;

/** A message as it travels: what the kernel would send, and its binary buffers. */
export interface Wire {
  readonly content: { readonly type: FromKernel["type"]; readonly view: string } & object;
  readonly buffers: DataView[];
}

/** The traits that Python would start with. */
export function defaults(): ImageTraits {
  return {
    alpha: 1,
    n_steps: 4,
    method: "riemann_middle",
    input: "",
    baseline: "black",
    target: 1,
    output: "logit",
    tol: 0.05,
    channel: "sum",
    _channels: ["sum", "red", "green", "blue"],
    _panes: [{}],
    _regions: [],
    _audits: [],
    _cards: [],
    _curves: [],
    _dependence: {},
    show_dependence: false,
    _notice: {},
    _outputs: ["logit", "probability", "log-probability", "margin"],
    _view_count: null,
    colormap: "RdBu_r",
    opacity: 1,
    clip: 99,
    sign: "all",
    ground: "grey",
    _methods: [
      "riemann_left",
      "riemann_right",
      "riemann_middle",
      "riemann_trapezoid",
      "gausslegendre",
    ],
    _baselines: ["black", "white", "mean grey", "blur", "noise"],
    _colormaps: ["RdBu_r", "PuOr"],
    _labels: ["crane", "Egyptian cat", "lynx", "crane"],
    _n_classes: 4,
    _top: [
      [1, 0.761],
      [2, 0.12],
    ],
    _lut: new DataView(blueToRed().buffer),
  };
}

/** Blue, white, red. */
export function blueToRed(): Uint8Array<ArrayBuffer> {
  const lut = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const s = (i / 255) * 2 - 1;
    lut.set([255 * Math.min(1, 1 + s), 255 * (1 - Math.abs(s)), 255 * Math.min(1, 1 - s)], 3 * i);
  }
  return lut;
}

/** A model with no kernel behind it: records what is sent and saved, and lets a test be the kernel. */
export class FakeModel implements AnyModel<ImageTraits> {
  readonly sent: ToKernel[] = [];
  /** The bytes that went with each of them. */
  readonly buffers: Uint8Array[][] = [];
  /** The traits at each save. */
  readonly saved: ImageTraits[] = [];
  readonly #traits: { -readonly [K in keyof ImageTraits]: ImageTraits[K] };
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(traits: Partial<ImageTraits> = {}) {
    this.#traits = { ...defaults(), ...traits };
  }

  get<K extends keyof ImageTraits>(name: K): ImageTraits[K] {
    return this.#traits[name];
  }

  set<K extends keyof ImageTraits>(name: K, value: ImageTraits[K]): void {
    if (this.#traits[name] === value) return;
    this.#traits[name] = value;
    this.#emit(`change:${name}`);
  }

  /** All of them, as they are now. */
  get traits(): ImageTraits {
    return { ...this.#traits };
  }

  save_changes(): void {
    this.saved.push({ ...this.#traits });
  }

  send(content: ToKernel, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    this.sent.push(content);
    this.buffers.push(buffers.map((buffer) => new Uint8Array(buffer)));
  }

  on(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name?: string | null, listener?: Listener | null): void {
    if (name && listener) this.#listeners.get(name)?.delete(listener);
  }

  /** What a host does when the kernel is restarted. */
  disconnect(): void {
    this.#emit("comm_live_update");
  }

  get widget_manager(): never {
    throw new Error("the explorer needs no other widget");
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((count, { size }) => count + size, 0);
  }

  /** The id that the front end chose for itself. */
  get view(): string {
    const [want] = this.sent;
    if (want?.type !== "want") throw new Error("the front end has not said `want`");
    return want.view;
  }

  /** What was sent of one type. */
  all<T extends ToKernel["type"]>(type: T): Extract<ToKernel, { type: T }>[] {
    return this.sent.filter((message): message is Extract<ToKernel, { type: T }> => {
      return message.type === type;
    });
  }

  receive(...messages: readonly Wire[]): void {
    for (const { content, buffers } of messages) this.#emit("msg:custom", content, buffers);
  }

  #emit(name: string, ...values: unknown[]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      (listener as (...values: unknown[]) => void)(...values);
  }
}
