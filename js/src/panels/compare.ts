import { methodGroups } from "../controls/method_choice.js";
import { methodOf } from "../core/methods.js";
import type { Settings } from "../core/settings.js";
import { nameOf, split, targetAt } from "../core/target.js";
import type { Traits } from "../core/traits.js";
import { button, div, html, paragraph } from "../util/dom.js";
import { keepFocus } from "../util/focus.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";
import { section, withLabel } from "../util/parts.js";
import { baselineInWords } from "./baseline_text.js";

const MOST_PANES = 4;
const MOST_STEPS = 256;
const SAME = "";

type Name = "baseline" | "target" | "output" | "method" | "n_steps" | "tol";
type Option = readonly [value: string, text: string];

/** Adds and removes panes, and sets in what each differs from the first. */
export class Compare {
  readonly element: HTMLElement;
  readonly #traits: Traits;
  readonly #rows = div("igw-compare");
  readonly #add = button("add a pane", {
    title: "Adds a pane with another baseline; choose below it what it asks.",
  });
  readonly #copy = button("copy to a new pane", {
    title: "Keeps what is shown now in a pane of its own, while you change the settings above.",
  });

  constructor(traits: Traits, signal: AbortSignal) {
    this.#traits = traits;
    this.element = section(
      "Compare: the same input, asked something else",
      "compare-panel",
      div("igw-row", this.#add, this.#copy),
      this.#rows,
      paragraph("igw-note", "Up to four maps side by side, and the difference of the first two."),
    );
    listen(this.#add, "click", () => this.#append(this.#another()), signal);
    listen(this.#copy, "click", () => this.#append(this.#current()), signal);
    listen(this.#rows, "change", ({ target }) => this.#changed(target), signal);
    listen(this.#rows, "click", ({ target }) => this.#clicked(target), signal);
    traits.on(
      ["_panes", "_baselines", "_outputs", "_methods", "_top", "method", "target"],
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

  /** All settings of the first pane, so that this one stays when they change. */
  #current(): Partial<Settings> {
    const { baseline, target, output, method, channel } = this.#traits.settings(0);
    const own = { baseline, target, output, method, channel };
    switch (methodOf(method).fineness) {
      case "steps":
        return { ...own, n_steps: this.#traits.get("n_steps") };
      case "tolerance":
        return { ...own, tol: this.#traits.get("tol") };
      default:
        return own;
    }
  }

  #append(settings: Partial<Settings>): void {
    this.#set([...this.#panes, settings]);
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
    this.#copy.disabled = this.#add.disabled;
  }

  #row(settings: Partial<Settings>, pane: number): HTMLElement {
    const traits = this.#traits;
    const offered = traits.get("_baselines");
    const baselines = offered.map((name): Option => [name, shorten(name, 40)]);
    const outputs = traits.get("_outputs").map((name): Option => [name, shorten(name, 40)]);
    const { meaning } = traits;
    // Of a dense output, other classes at the place of the first pane.
    const { place } = split(traits.get("target"), meaning);
    const count = traits.get("_n_classes");
    const className = (index: number) => nameOf(traits.get("_labels"), index, meaning, count, 40);
    const classes = traits
      .get("_top")
      .map(([index]): Option => [String(targetAt(index, place, meaning)), className(index)]);
    const list = (name: Name, label: string, choices: readonly Node[], text: string) =>
      listOf({ name, label, pane, choices, value: String(settings[name] ?? SAME), text });
    const { baseline = "", target = "", output = "", method = "" } = settings;
    const targetName = typeof target === "number" ? className(target) : shorten(target, 40);
    return html(
      "fieldset",
      { class: "igw-controls" },
      html("legend", {}, `pane ${pane + 1}`),
      list(
        "baseline",
        "baseline",
        optionsOf(baselines),
        shorten(baselineInWords(baseline, offered), 40),
      ),
      list("target", "target", optionsOf(classes), targetName),
      list("output", "output", optionsOf(outputs), shorten(output, 40)),
      list("method", "method", methodGroups(traits.get("_methods")), methodOf(method).words),
      this.#fineness(settings, pane),
      button("remove", {
        "data-pane": pane,
        "aria-label": `remove pane ${pane + 1}`,
        title: "Takes this pane away.",
      }),
    );
  }

  /** The number of steps, or the tolerance, or an empty place: what the pane's method has. */
  #fineness(settings: Partial<Settings>, pane: number): HTMLElement {
    const { fineness } = methodOf(settings.method ?? this.#traits.get("method"));
    if (fineness === "none") return div("igw-field");
    const isSteps = fineness === "steps";
    const label = isSteps ? "steps" : "tolerance";
    const value = isSteps
      ? settings.n_steps
      : settings.tol && Number((100 * settings.tol).toPrecision(4));
    const input = html("input", {
      type: "number",
      min: 1,
      max: isSteps ? MOST_STEPS : 50,
      step: 1,
      placeholder: "as the first",
      "aria-label": `${label} of pane ${pane + 1}`,
      title: isSteps
        ? "How many points are sampled; empty: as many as in the first pane."
        : "In percent; empty: as in the first pane.",
      "data-pane": pane,
      "data-name": isSteps ? "n_steps" : "tol",
      value: value ?? SAME,
    });
    return withLabel(isSteps ? label : "tolerance, %", "", input);
  }
}

interface List {
  readonly name: Name;
  readonly label: string;
  readonly pane: number;
  readonly choices: readonly Node[];
  readonly value: string;
  /** What the value is called where no choice has it: Python may have set any. */
  readonly text: string;
}

function listOf({ name, label, pane, choices, value, text }: List): HTMLElement {
  const element = html(
    "select",
    {
      "aria-label": `${label} of pane ${pane + 1}`,
      title: `The ${label} of this pane, or that of the first.`,
      "data-pane": pane,
      "data-name": name,
    },
    html("option", { value: SAME }, "as the first"),
    ...choices,
  );
  element.value = value;
  if (element.value !== value) {
    element.append(html("option", { value }, text));
    element.value = value;
  }
  return withLabel(label, "", element);
}

function optionsOf(options: readonly Option[]): HTMLElement[] {
  return options.map(([value, text]) => html("option", { value }, text));
}

function settingOf(name: Name, text: string): string | number {
  if (name === "target" && /^\d+$/.test(text)) return Number(text);
  // `min` and `max` do not bind what is typed.
  if (name === "n_steps") return Math.min(Math.max(Math.round(Number(text)), 1), MOST_STEPS);
  if (name === "tol") return Math.min(Math.max(Number(text), 1), 50) / 100;
  return text;
}
