import { methodOf } from "../core/methods.js";
import type { Traits } from "../core/traits.js";
import { baselineInWords } from "../panels/baseline_text.js";
import { className, percent, shorten } from "../util/format.js";

/** Returns a setting as a person reads it: "baseline blur, sigma 8", "middle points", "steps 16". */
export function settingInWords(traits: Traits, name: string, value: unknown): string {
  switch (name) {
    case "method":
      return methodOf(String(value)).words;
    case "n_steps":
      return `steps ${value}`;
    case "tol":
      return `tolerance ${percent(Number(value), 0)}`;
    case "baseline":
      return `baseline ${shorten(baselineInWords(String(value), traits.get("_baselines")), 30)}`;
    case "target":
      return typeof value === "number"
        ? className(traits.get("_labels"), value, 30)
        : shorten(String(value), 30);
    default:
      return `${name} ${shorten(String(value), 30)}`;
  }
}
