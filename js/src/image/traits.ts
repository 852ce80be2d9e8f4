import {
  between,
  either,
  list,
  look,
  number,
  oneOf,
  record,
  row,
  type ValuesOf,
  whole,
} from "../core/trait_table.js";
import type { Look, Recorded } from "../core/traits.js";
import { DEPENDENCE_TRAITS } from "../panels/dependence.js";
import { selectionTraits } from "../panels/selection.js";
import { EXPLORER_TRAITS } from "../views/explorer_view.js";
import type { Region } from "../views/region.js";

const isRegion = either(
  record({ kind: oneOf("rectangle"), box: row(number, number, number, number) }),
  record({ kind: oneOf("polygon"), points: list(row(number, number)) }),
  record({ kind: oneOf("mask"), runs: list(whole) }),
);

export const IMAGE_TRAITS = {
  ...EXPLORER_TRAITS,
  ...DEPENDENCE_TRAITS,
  ...selectionTraits<Region>(isRegion),
  opacity: look<number>("number", between(0, 1), 1),
  /** What lies under the colours: the photo in light greys, or as it is. */
  ground: look<"grey" | "colour">("text", oneOf("grey", "colour"), "grey"),
};
export type ImageTraits = ValuesOf<typeof IMAGE_TRAITS> & Recorded;
export type ImageLook = Look & Pick<ImageTraits, "opacity" | "ground">;
