import type { AnyModel } from "@anywidget/types";
import type { ToKernel } from "../core/protocol.js";
import { SETTINGS } from "../core/settings.js";
import type { CoreTraits } from "../core/traits.js";
import type { Answer, Recording, Values } from "./recording.js";

type Listener = (...values: never[]) => void;

const HINT = "Open the notebook to compute it.";

/** A model that answers from a recording instead of a kernel; what was not sampled is refused in words. */
export class Replay implements AnyModel<CoreTraits> {
  readonly #recording: Recording;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** The path whose samples each view has. */
  readonly #views = new Map<string, number | undefined>();
  /** The settings changed since the last answer. */
  readonly #changed = new Set<string>();
  #traits: Values;
  #request = 0;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.#traits = {
      // Only a kernel sets these.
      _cards: [],
      _notice: {},
      ...recording.traits,
      _colormaps: [...recording.tables.keys()],
      _offered: offered(recording.answers),
      _lut: this.#colors(recording.traits.colormap),
    };
  }

  get<K extends keyof CoreTraits>(name: K): CoreTraits[K] {
    return this.#traits[name] as CoreTraits[K];
  }

  set<K extends keyof CoreTraits>(name: K, value: CoreTraits[K]): void {
    if (this.#traits[name] === value) return;
    this.#put(name, value);
    if (name === "colormap") this.#put("_lut", this.#colors(value));
    if ((SETTINGS as readonly string[]).includes(name)) this.#changed.add(name);
  }

  save_changes(): void {
    if (this.#changed.size === 0) return;
    const nearest = this.#nearest();
    this.#changed.clear();
    for (const [name, value] of Object.entries(nearest?.settings ?? {}))
      if (counts(name, value) && !same(this.#traits[name], value)) this.#put(name, value);
    this.#request += 1;
    for (const view of this.#views.keys()) this.#answer(view);
  }

  send(message: ToKernel): void {
    if (message.type !== "want") return;
    this.#views.set(message.view, undefined);
    // Asynchronous, as a kernel's answer is.
    queueMicrotask(() => this.#answer(message.view));
  }

  on(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name?: string | null, listener?: Listener | null): void {
    if (name && listener) this.#listeners.get(name)?.delete(listener);
  }

  get widget_manager(): never {
    throw new Error("the explorer needs no other widget");
  }

  /**
   * Returns the answer closest to the settings, so that a rule which was sampled with other numbers of steps can be chosen.
   * It has every setting that was just changed; undefined if no answer has.
   */
  #nearest(): Answer | undefined {
    const asked = Number(this.#traits.n_steps);
    const far = ({ settings }: Answer) => {
      const others = Object.entries(settings).filter(
        ([name, value]) =>
          name !== "n_steps" && counts(name, value) && !same(this.#traits[name], value),
      );
      return 1000 * others.length + Math.abs(Number(settings.n_steps) - asked);
    };
    return this.#recording.answers
      .filter(({ settings }) =>
        [...this.#changed].every(
          (name) => !counts(name, settings[name]) || same(settings[name], this.#traits[name]),
        ),
      )
      .sort((a, b) => far(a) - far(b))[0];
  }

  #answer(view: string): void {
    const say = (content: Values, buffers: readonly DataView[] = []) =>
      this.#emit("msg:custom", { ...content, view, request: this.#request }, buffers);
    const { answers, paths } = this.#recording;
    const answer = answers.find(({ settings }) =>
      Object.entries(settings).every(
        ([name, value]) => !counts(name, value) || same(this.#traits[name], value),
      ),
    );
    const path = answer && paths[answer.path];
    if (answer === undefined || path === undefined) {
      say({ type: "failed", kind: "error", message: this.#refusal(), hint: HINT });
      return;
    }
    say({ ...path.begin, settings: answer.settings }, path.arrays);
    if (this.#views.get(view) !== answer.path) say(path.samples, path.maps);
    this.#views.set(view, answer.path);
    say(answer.plan);
    say(answer.end);
  }

  #refusal(): string {
    const { method, n_steps } = this.#traits;
    const others = this.#recording.answers
      .filter(({ settings }) =>
        Object.entries(settings).every(
          ([name, value]) =>
            name === "n_steps" || !counts(name, value) || same(this.#traits[name], value),
        ),
      )
      .map(({ settings }) => Number(settings.n_steps))
      .sort((a, b) => a - b);
    if (others.length === 0) return "This was not sampled.";
    return `${method} with ${n_steps} steps was not sampled; sampled: ${others.join(", ")}.`;
  }

  #colors(name: unknown): DataView {
    return this.#recording.tables.get(String(name)) ?? new DataView(new ArrayBuffer(0));
  }

  #put(name: string, value: unknown): void {
    this.#traits = { ...this.#traits, [name]: value };
    this.#emit(`change:${name}`);
  }

  #emit(name: string, ...values: unknown[]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      (listener as (...values: unknown[]) => void)(...values);
  }
}

/** The values of each setting that some answer has. */
function offered(answers: readonly Answer[]): Values {
  const of = (name: string) => [...new Set(answers.map(({ settings }) => settings[name]))];
  return Object.fromEntries(SETTINGS.map((name) => [name, of(name)]));
}

/** Whether a setting counts: `n_steps` or `tol` is 0 where the method ignores it. */
function counts(name: string, value: unknown): boolean {
  return value !== 0 || (name !== "n_steps" && name !== "tol");
}

/** Compares values that came out of JSON. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
