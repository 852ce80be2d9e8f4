import type { Host, Kind, KindView } from "../core/kind.js";
import { EXPLORER_TRAITS, type ExplorerTraits } from "../views/explorer_view.js";
import { BarsMap, StaticBars } from "./map.js";
import { problemOf } from "./row.js";

/** Rows of a table, explained feature by feature. */
export const table: Kind<ExplorerTraits> = {
  name: "table",
  element: "feature",
  traits: EXPLORER_TRAITS,
  problemOf,
  view,
};

function view({ redraw, signal }: Host<ExplorerTraits>): KindView {
  return {
    map: new BarsMap(redraw, signal),
    mapBeside: (life) => new BarsMap(redraw, life),
    staticMap: (...below) => new StaticBars(below),
    tools: [],
    controls: { first: [], more: [] },
    aids: [],
    panels: [],
    baselines: { tools: [] },
  };
}
