import {
  between,
  either,
  list,
  look,
  number,
  oneOf,
  record,
  row,
  text,
  type ValuesOf,
  whole,
  writable,
} from "../core/trait_table.js";
import type { Look, Recorded } from "../core/traits.js";
import { DEPENDENCE_TRAITS } from "../panels/dependence.js";
import { selectionTraits } from "../panels/selection.js";
import { EXPLORER_TRAITS } from "../views/explorer_view.js";
import type { Region } from "../views/region.js";
import { GRAINS, type Grain } from "./grains.js";
import { STRIP_TRAITS } from "./strip_traits.js";

const isRegion = either(
  record({ kind: oneOf("rectangle"), box: row(number, number, number, number) }),
  record({ kind: oneOf("polygon"), points: list(row(number, number)) }),
  record({ kind: oneOf("mask"), runs: list(whole) }),
);

export const IMAGE_TRAITS = {
  ...EXPLORER_TRAITS,
  ...DEPENDENCE_TRAITS,
  ...selectionTraits<Region>(isRegion),
  ...STRIP_TRAITS,
  opacity: look<number>("number", between(0, 1), 1),
  /** What lies under the colours: the photo in light greys, or as it is. */
  grain: look<Grain>("text", oneOf(...GRAINS), "pixels"),
  ground: look<"grey" | "colour">("text", oneOf("grey", "colour"), "grey"),
  /** What of the input is drawn as the photo, in words of Python's; it sends another. */
  shown_channels: writable<string>("text", text, ""),
};
export type ImageTraits = ValuesOf<typeof IMAGE_TRAITS> & Recorded;
export type ImageLook = Look & Pick<ImageTraits, "opacity" | "grain" | "ground">;
