import { Choice } from "../controls/choice.js";
import { Modes } from "../controls/modes.js";
import { Slider } from "../controls/slider.js";
import type { Frame, Host, Kind, KindView } from "../core/kind.js";
import { DependencePanel } from "../panels/dependence.js";
import { SelectionPanel } from "../panels/selection.js";
import { Selections } from "../panels/selections.js";
import { button } from "../util/dom.js";
import { twoDecimals } from "../util/format.js";
import { listen } from "../util/life.js";
import { maskOf, type Region } from "../views/region.js";
import { MODES, type Mode } from "../views/region_tool.js";
import { Zoom } from "../views/zoom.js";
import { ColourPicker } from "./colour_picker.js";
import { Interpolation } from "./interpolation.js";
import { Overlay } from "./overlay.js";
import { photoOf, problemOf } from "./photo.js";
import { StaticOverlay } from "./static_overlay.js";
import { IMAGE_TRAITS, type ImageTraits } from "./traits.js";
import { UnchangedPixels } from "./unchanged_pixels.js";

/** Photos, explained pixel by pixel. */
export const image: Kind<ImageTraits> = {
  name: "image",
  element: "pixel",
  traits: IMAGE_TRAITS,
  problemOf,
  view,
};

function view(host: Host<ImageTraits>): KindView {
  const { store, traits, redraw, root, signal } = host;
  const selections = new Selections<Region>();
  selections.synchronise(traits, signal);
  const zoom = new Zoom(signal);
  const map = new Overlay(selections, zoom, redraw, signal);
  const staticMap = (...below: Node[]) => new StaticOverlay(zoom, signal, ...below);
  const unchanged = new UnchangedPixels(map.layer, redraw, signal);
  const picker = new ColourPicker(store, map, signal);
  const selecting = {
    selections,
    maskOf: (region: Region, { begin }: Shown) => {
      const { width, height } = photoOf(begin.display);
      return maskOf(region, width, height);
    },
    nameOf: (pixel: number, { begin }: Shown) => {
      const { width } = photoOf(begin.display);
      return `pixel (${pixel % width}, ${Math.floor(pixel / width)})`;
    },
  };
  traits.on(["_audits"], redraw, signal);
  const opacity = { label: "opacity", min: 0, max: 1, step: 0.01, format: twoDecimals };
  const dropper = button("pick a colour from the image");
  listen(dropper, "click", () => picker.begin(root), signal);
  const choose = (mode: Mode) => {
    map.tool.mode = mode;
  };
  const modes = new Modes("a drag on the attribution", MODES, map.tool.mode, choose, signal);
  return {
    map,
    mapBeside: (life) => new Overlay(selections, zoom, redraw, life, true),
    staticMap,
    input: new Interpolation(zoom, signal),
    tools: [modes.element, zoom.controls, unchanged.control],
    controls: {
      first: [new Slider(traits, "opacity", opacity, signal).element],
      more: [new Choice(traits, "ground", "over", ["grey", "colour"], signal).element],
    },
    aids: [new SelectionPanel(traits, selecting, signal), unchanged],
    panels: [new DependencePanel(host, staticMap, (size) => `patches of ${size} × ${size} pixels`)],
    baselines: {
      tools: [dropper],
      files: {
        accept: "image/*",
        label: "photo for a baseline",
        words: "use a photo (or drop one here)",
      },
    },
  };
}

type Shown = NonNullable<Frame["picture"]>;
