import type { Settings } from "../core/settings.js";
import type { Traits } from "../core/traits.js";
import { button, div, html } from "../util/dom.js";
import { keepFocus } from "../util/focus.js";
import { className, shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { fold, withLabel } from "../util/parts.js";

const MOST_PANES = 4;
const MOST_STEPS = 256;
const SAME = "";

type Name = "baseline" | "target" | "output" | "method" | "n_steps";

/** Adds and removes panes, and sets in what each differs from the first. */
export class Compare {
  readonly element: HTMLElement;
  readonly #traits: Traits;
  readonly #rows = div("igw-compare");
  readonly #add = button("add a pane");

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.element = fold("", "Compare: the same input, asked something else", this.#rows, this.#add);
    listen(this.#add, "click", () => this.#append(), signal);
    listen(this.#rows, "change", ({ target }) => this.#changed(target), signal);
    listen(this.#rows, "click", ({ target }) => this.#clicked(target), signal);
    traits.on(
      ["_panes", "_baselines", "_outputs", "_methods", "_top"],
      () => this.#build(),
      signal,
    );
    this.#build();
  }

  get #panes(): readonly Partial<Settings>[] {
    return this.#traits.get("_panes");
  }

  /** The settings of a new pane: another baseline, the most frequent comparison. */
  #another(): Partial<Settings> {
    const own = this.#traits.get("baseline");
    const taken = [own, ...this.#panes.map(({ baseline }) => baseline)];
    const baseline = this.#traits.get("_baselines").find((name) => !taken.includes(name));
    return { baseline: baseline ?? own };
  }

  #append(): void {
    this.#set([...this.#panes, this.#another()]);
    // A disabled button loses the focus.
    if (this.#add.disabled) this.#rows.lastElementChild?.querySelector("select")?.focus();
  }

  #set(panes: readonly Partial<Settings>[]): void {
    this.#traits.set("_panes", panes);
    this.#traits.flush();
  }

  #changed(target: EventTarget | null): void {
    if (!(target instanceof HTMLSelectElement || target instanceof HTMLInputElement)) return;
    const pane = Number(target.dataset.pane);
    const name = target.dataset.name as Name;
    const value = settingOf(name, target.value);
    this.#set(
      this.#panes.map((settings, i) => {
        if (i !== pane) return settings;
        const { [name]: _, ...others } = settings;
        return target.value === SAME ? others : { ...others, [name]: value };
      }),
    );
  }

  #clicked(target: EventTarget | null): void {
    const pane = target instanceof HTMLButtonElement ? Number(target.dataset.pane) : Number.NaN;
    if (pane > 0) this.#set(this.#panes.filter((_, i) => i !== pane));
    if (pane > 0) this.#add.focus();
  }

  #build(): void {
    const rows = this.#panes.slice(1).map((settings, i) => this.#row(settings, i + 1));
    keepFocus(this.#rows, () => this.#rows.replaceChildren(...rows));
    this.#add.disabled = this.#panes.length >= MOST_PANES;
  }

  #row(settings: Partial<Settings>, pane: number): HTMLElement {
    const traits = this.#traits;
    const of = (label: string) => `${label} of pane ${pane + 1}`;
    const names = (trait: "_baselines" | "_outputs" | "_methods") =>
      traits.get(trait).map((name) => [name, shorten(name, 40)] as const);
    const classes = traits
      .get("_top")
      .map(([index]) => [String(index), className(traits.get("_labels"), index, 40)] as const);
    const list = (name: Name, label: string, choices: readonly (readonly [string, string])[]) => {
      const value = String(settings[name] ?? SAME);
      const known = [[SAME, "as the first"] as const, ...choices];
      // A value that Python set may be on no list.
      if (!known.some(([own]) => own === value)) known.push([value, shorten(value, 40)]);
      const element = html(
        "select",
        { "aria-label": of(label), "data-pane": pane, "data-name": name },
        ...known.map(([own, text]) => html("option", { value: own }, text)),
      );
      element.value = value;
      return withLabel(label, "", element);
    };
    const steps = html("input", {
      type: "number",
      min: 1,
      max: MOST_STEPS,
      step: 1,
      placeholder: "as the first",
      "aria-label": of("steps"),
      "data-pane": pane,
      "data-name": "n_steps",
      value: settings.n_steps ?? SAME,
    });
    return html(
      "fieldset",
      { class: "igw-controls" },
      html("legend", {}, `pane ${pane + 1}`),
      list("baseline", "baseline", names("_baselines")),
      list("target", "target", classes),
      list("output", "output", names("_outputs")),
      list("method", "rule", names("_methods")),
      withLabel("steps", "", steps),
      button("remove", { "data-pane": pane, "aria-label": `remove pane ${pane + 1}` }),
    );
  }
}

function settingOf(name: Name, text: string): string | number {
  if (name === "target" && /^\d+$/.test(text)) return Number(text);
  // `min` and `max` do not bind what is typed.
  if (name === "n_steps") return Math.min(Math.max(Math.round(Number(text)), 1), MOST_STEPS);
  return text;
}
