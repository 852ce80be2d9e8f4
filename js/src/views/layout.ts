import { Choice } from "../controls/choice.js";
import { Slider } from "../controls/slider.js";
import { TargetChoice } from "../controls/target_choice.js";
import type { KindView } from "../core/kind.js";
import type { Traits } from "../core/traits.js";
import { div, html, paragraph, span } from "../util/dom.js";
import { twoDecimals } from "../util/format.js";
import { captioned } from "../util/parts.js";

/** The parts of a view that the layout puts in place. */
export interface Parts {
  readonly kind: KindView;
  readonly player: HTMLElement;
  readonly status: HTMLElement;
  readonly notice: HTMLElement;
  readonly colors: HTMLElement;
  readonly chart: HTMLElement;
  readonly meter: HTMLElement;
  /** What helps to read the picture, below it. */
  readonly aids: readonly HTMLElement[];
  /** More panes, for comparison. */
  readonly panes: HTMLElement;
  /** What can be folded out, and what can be saved. */
  readonly panels: readonly HTMLElement[];
}

/** The lines of text that change, and the place of the tools. */
export interface Layout {
  readonly tools: HTMLElement;
  readonly stale: HTMLElement;
  readonly collected: HTMLElement;
  readonly clipped: HTMLElement;
}

/** Fills the root of an explorer. */
export function layOut(
  root: HTMLElement,
  parts: Parts,
  traits: Traits,
  signal: AbortSignal,
): Layout {
  const { map, input, tools: buttons, controls } = parts.kind;
  const tools = html(
    "div",
    { class: "igw-tools", role: "toolbar", "aria-label": "tools for the pictures" },
    ...buttons,
  );
  const stale = span("igw-badge");
  const collected = paragraph("igw-collected");
  const clipped = span("igw-note");
  root.append(
    div("igw-controls igw-question", ...question(traits, signal)),
    parts.status,
    parts.notice,
    div(
      "igw-body",
      html(
        "div",
        { class: "igw-pictures", "data-alone": input === undefined },
        tools,
        ...(input ? [captioned("igw-figure", [input.title], input.element)] : []),
        captioned("igw-figure", ["Attribution", stale], map.element),
        div("igw-alpha", alphaSlider(traits, signal), div("igw-row", parts.player, collected)),
        div("igw-reading", parts.colors, map.readout),
      ),
      div("igw-charts", parts.chart, parts.meter),
    ),
    parts.panes,
    div(
      "igw-controls igw-look",
      ...controls.first,
      ...look(traits, clipped, controls.more, signal),
    ),
    div("igw-aids", ...parts.aids),
    ...parts.panels,
  );
  return { tools, stale, collected, clipped };
}

/** The controls of the settings. */
function question(traits: Traits, signal: AbortSignal): HTMLElement[] {
  const steps = {
    label: "steps",
    min: 1,
    max: 256,
    step: 1,
    // The secant rule with one cell is DeepLIFT's rescale rule.
    format: (steps: number) => {
      const method = traits.get("method");
      if (method === "gradient" || method === "input_x_gradient") return "1, at the input";
      return method === "secant" && steps === 1 ? "1: DeepLIFT" : String(steps);
    },
    formattedBy: "method",
  } as const;
  return [
    new TargetChoice(traits, signal).element,
    new Choice(traits, "baseline", "baseline", "_baselines", signal).element,
    new Choice(traits, "output", "output", "_outputs", signal).element,
    new Choice(traits, "method", "rule", "_methods", signal).element,
    new Slider(traits, "n_steps", steps, signal).element,
  ];
}

function alphaSlider(traits: Traits, signal: AbortSignal): HTMLElement {
  const options = { label: "alpha", min: 0, max: 1, step: 0.01, format: twoDecimals };
  return new Slider(traits, "alpha", options, signal).element;
}

/** The controls of the looks and of the channel. */
function look(
  traits: Traits,
  clipped: HTMLElement,
  more: readonly HTMLElement[],
  signal: AbortSignal,
): HTMLElement[] {
  const clip = { label: "clip", min: 50, max: 100, step: 0.5, format: percentile };
  const clipSlider = new Slider(traits, "clip", clip, signal).element;
  return [
    div("igw-group", clipSlider, clipped),
    new Choice(traits, "sign", "sign", ["all", "positive", "negative"], signal).element,
    new Choice(traits, "channel", "channel", "_channels", signal).element,
    ...more,
    new Choice(traits, "colormap", "colormap", "_colormaps", signal).element,
  ];
}

function percentile(value: number): string {
  return `${Number(value.toFixed(1))}%`;
}
