import { Choice } from "../controls/choice.js";
import { ColormapChoice } from "../controls/colormap_choice.js";
import { Slider } from "../controls/slider.js";
import type { Traits } from "../core/traits.js";
import { div } from "../util/dom.js";

const SIGN = {
  label: "sign",
  title: "Which attributions are drawn: what speaks for the target, against it, or both.",
};
const SCALE = {
  label: "scale",
  title:
    "Whether colours mean the same at every alpha, or are fit to what is collected up to alpha.",
};
const CHANNEL = {
  label: "channel",
  title: "Which channel of the map is drawn: the sum over all, which keeps completeness, or one.",
  // With the sum alone there is nothing to choose.
  least: 2,
};

/** The controls of how values become colours, for the tab "values". `clipped` tells how many are off the scale. */
export function looks(
  traits: Traits,
  clipped: HTMLElement,
  more: readonly HTMLElement[],
  signal: AbortSignal,
): HTMLElement {
  const clip = {
    label: "clip",
    title:
      "The percentile of sizes at which colours end: what is larger has the colour of the end.",
    min: 50,
    max: 100,
    step: 0.5,
    format: percentile,
  };
  return div(
    "igw-controls",
    div("igw-group", new Slider(traits, "clip", clip, signal).element, clipped),
    new Choice(traits, "scale", SCALE, ["fixed", "shown"], signal).element,
    new Choice(traits, "sign", SIGN, ["all", "positive", "negative"], signal).element,
    new Choice(traits, "channel", CHANNEL, "_channels", signal).element,
    new ColormapChoice(traits, signal).element,
    ...more,
  );
}

function percentile(value: number): string {
  return `${Number(value.toFixed(1))}%`;
}
