import { Choice } from "../controls/choice.js";
import { fineness } from "../controls/fineness.js";
import { MethodChoice } from "../controls/method_choice.js";
import { Slider } from "../controls/slider.js";
import { TargetChoice } from "../controls/target_choice.js";
import type { KindView } from "../core/kind.js";
import type { Traits } from "../core/traits.js";
import { assign, div, html, paragraph, span } from "../util/dom.js";
import { twoDecimals } from "../util/format.js";
import { captioned } from "../util/parts.js";

/** The parts of a view that the layout puts in place. */
export interface Parts {
  readonly kind: KindView;
  readonly baseline: HTMLElement;
  readonly status: HTMLElement;
  readonly notice: HTMLElement;
  /** Of the pictures, after those of the kind. */
  readonly tools: readonly HTMLElement[];
  /** More panes, for comparison. */
  readonly panes: HTMLElement;
  readonly player: HTMLElement;
  readonly colors: HTMLElement;
  /** The strip of baselines; none in a recording. */
  readonly cards: HTMLElement | undefined;
  readonly bench: HTMLElement;
  /** What is laid over the stage. */
  readonly help: HTMLElement;
}

/** What of the layout changes. */
export interface Layout {
  readonly main: HTMLElement;
  /** Of the first map. */
  readonly title: HTMLElement;
  readonly stale: HTMLElement;
  readonly collected: HTMLElement;
  readonly alpha: Alpha;
}

/** Fills the root of an explorer: settings, the stage with what is under it, and the bench beside them. */
export function layOut(
  root: HTMLElement,
  parts: Parts,
  traits: Traits,
  signal: AbortSignal,
): Layout {
  const { map, input, strip, tools, controls } = parts.kind;
  const toolbar = html(
    "div",
    { class: "igw-tools", role: "toolbar", "aria-label": "tools for the pictures" },
    ...tools,
    span("igw-space"),
    ...parts.tools,
  );
  const title = span("igw-title", "Attribution");
  const stale = span("igw-badge");
  const collected = paragraph("igw-collected");
  const alpha = new Alpha(parts.player, traits, signal);
  const settings = div("igw-controls igw-question", ...question(parts.baseline, traits, signal));
  const reading = div("igw-reading", parts.colors, map.readout);
  const pictures = html(
    "div",
    { class: "igw-pictures", "data-alone": input === undefined },
    ...(input ? [captioned("igw-figure igw-input", [input.title], input.element)] : []),
    captioned("igw-figure", [title, stale], map.element, collected),
    parts.panes,
  );
  const main = div(
    "igw-main",
    div("igw-stage", ...(strip ? [strip] : []), toolbar, pictures),
    div(
      "igw-under",
      alpha.element,
      reading,
      div("igw-controls igw-look", ...controls.first),
      ...(parts.cards ? [parts.cards] : []),
    ),
    parts.bench,
    parts.help,
  );
  assign(root, { "data-strip": strip?.hidden === false });
  root.append(settings, div("igw-state", parts.status, parts.notice), main);
  return { main, title, stale, collected, alpha };
}

/** The controls of the settings. */
function question(baseline: HTMLElement, traits: Traits, signal: AbortSignal): HTMLElement[] {
  const target = new TargetChoice(traits, signal).element;
  assign(target, { title: "What the map explains: the class, or the output, that is asked for." });
  const output = {
    label: "output",
    title: "In which form the model's answer is explained: its score, or its probability.",
  };
  return [
    target,
    baseline,
    new MethodChoice(traits, signal).element,
    fineness(traits, signal),
    new Choice(traits, "output", output, "_outputs", signal).element,
  ];
}

/** The slider of alpha with its player; what lies on no path has none, and their place is kept. */
export class Alpha {
  readonly element: HTMLElement;
  readonly #controls: HTMLElement;
  readonly #note = paragraph("igw-note", "On no path: the map is shown whole.");

  constructor(player: HTMLElement, traits: Traits, signal: AbortSignal) {
    const options = {
      label: "alpha",
      title: "How far along the path from the baseline, 0, to the input, 1, is collected.",
      min: 0,
      max: 1,
      step: 0.01,
      format: twoDecimals,
    };
    const slider = new Slider(traits, "alpha", options, signal).element;
    this.#controls = div("igw-alpha-controls", slider, player);
    this.element = div("igw-alpha", this.#controls, this.#note);
    this.isOn = true;
  }

  set isOn(isOn: boolean) {
    assign(this.#controls, { inert: !isOn });
    this.#note.hidden = isOn;
  }
}
