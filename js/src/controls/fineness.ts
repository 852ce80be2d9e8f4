import { methodOf } from "../core/methods.js";
import type { Traits } from "../core/traits.js";
import { div } from "../util/dom.js";
import { percent } from "../util/format.js";
import { Slider } from "./slider.js";

/** How finely a method samples: its steps, or its tolerance; an empty place where it has neither. */
export function fineness(traits: Traits, signal: AbortSignal): HTMLElement {
  const steps = new Slider(
    traits,
    "n_steps",
    {
      label: "steps",
      title: "How many points of the path are sampled: more are slower and closer.",
      min: 1,
      max: 256,
      step: 1,
      // The secant rule with one cell is DeepLIFT's rescale rule.
      format: (count) =>
        traits.get("method") === "secant" && count === 1 ? "1: DeepLIFT" : String(count),
      formattedBy: "method",
    },
    signal,
  ).element;
  const tolerance = new Slider(
    traits,
    "tol",
    {
      label: "tolerance",
      title: "How far the map may be off, as a share of its size, before sampling stops.",
      min: 0.01,
      max: 0.5,
      step: 0.01,
      format: (share) => percent(share, 0),
    },
    signal,
  ).element;
  // What a recording holds was sampled to one tolerance.
  for (const input of tolerance.querySelectorAll("input")) input.disabled = traits.isRecording;
  const follow = () => {
    const { fineness } = methodOf(traits.get("method"));
    steps.hidden = fineness !== "steps";
    tolerance.hidden = fineness !== "tolerance";
  };
  traits.on(["method"], follow, signal);
  follow();
  return div("igw-fineness", steps, tolerance);
}
