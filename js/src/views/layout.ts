import { Choice } from "../controls/choice.js";
import { Slider } from "../controls/slider.js";
import { TargetChoice } from "../controls/target_choice.js";
import type { Traits } from "../core/traits.js";
import { html } from "../util/dom.js";
import { fixed } from "../util/format.js";

/** What the view has made and the layout puts in its place. */
export interface Parts {
  /** Buttons for both pictures. */
  readonly tools: readonly HTMLElement[];
  readonly player: HTMLElement;
  readonly status: HTMLElement;
  readonly notice: HTMLElement;
  readonly interpolation: HTMLElement;
  /** Of the interpolation: what it shows changes with the path. */
  readonly title: HTMLElement;
  readonly overlay: HTMLElement;
  readonly readout: HTMLElement;
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

/** The whole widget, and the lines of text in it that change. */
export interface Layout {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  readonly stale: HTMLElement;
  readonly collected: HTMLElement;
  readonly clipped: HTMLElement;
}

export function layOut(parts: Parts, traits: Traits, signal: AbortSignal): Layout {
  const tools = html(
    "div",
    { class: "igw-tools", role: "toolbar", "aria-label": "tools for the pictures" },
    ...parts.tools,
  );
  const stale = html("span", { class: "igw-badge" });
  const collected = html("p", { class: "igw-collected" });
  const clipped = html("span", { class: "igw-note" });
  const element = html(
    "div",
    { class: "igw", "data-lm-suppress-shortcuts": "true" },
    html("div", { class: "igw-controls igw-question" }, ...question(traits, signal)),
    parts.status,
    parts.notice,
    html(
      "div",
      { class: "igw-body" },
      html(
        "div",
        { class: "igw-pictures" },
        tools,
        figure(parts.title, [], parts.interpolation),
        figure(html("span", { class: "igw-title" }, "Attribution"), [stale], parts.overlay),
        html(
          "div",
          { class: "igw-alpha" },
          alphaSlider(traits, signal),
          html("div", { class: "igw-row" }, parts.player, collected),
        ),
        html("div", { class: "igw-reading" }, parts.colors, parts.readout),
      ),
      html("div", { class: "igw-charts" }, parts.chart, parts.meter),
    ),
    parts.panes,
    html("div", { class: "igw-controls igw-look" }, ...look(traits, clipped, signal)),
    html("div", { class: "igw-aids" }, ...parts.aids),
    ...parts.panels,
  );
  return { element, tools, stale, collected, clipped };
}

/** What is asked of the kernel. */
function question(traits: Traits, signal: AbortSignal): HTMLElement[] {
  const steps = {
    label: "steps",
    min: 1,
    max: 256,
    step: 1,
    // One cell of the secant rule is DeepLIFT's rescale rule: the left end of a walk to Integrated Gradients.
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

/** How the picture is looked at; none of it asks the kernel for anything. */
function look(traits: Traits, clipped: HTMLElement, signal: AbortSignal): HTMLElement[] {
  const opacity = { label: "opacity", min: 0, max: 1, step: 0.01, format: twoDecimals };
  const clip = { label: "clip", min: 50, max: 100, step: 0.5, format: percentile };
  const clipSlider = new Slider(traits, "clip", clip, signal).element;
  return [
    new Slider(traits, "opacity", opacity, signal).element,
    html("div", { class: "igw-group" }, clipSlider, clipped),
    new Choice(traits, "sign", "sign", ["all", "positive", "negative"], signal).element,
    new Choice(traits, "channel", "channel", "_channels", signal).element,
    new Choice(traits, "ground", "over", ["grey", "colour"], signal).element,
    new Choice(traits, "colormap", "colormap", "_colormaps", signal).element,
  ];
}

function figure(
  title: HTMLElement,
  notes: readonly HTMLElement[],
  picture: HTMLElement,
): HTMLElement {
  const caption = html("figcaption", { class: "igw-caption" }, title, ...notes);
  return html("figure", { class: "igw-figure" }, caption, picture);
}

function twoDecimals(value: number): string {
  return fixed(value, 2);
}

function percentile(value: number): string {
  return `${Number(value.toFixed(1))}%`;
}
