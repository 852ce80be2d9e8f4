import { Choice } from "../controls/choice.js";
import { ListSlider } from "../controls/list_slider.js";
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
import { cellsOf, GRAINS, inWords } from "./grains.js";
import { Interpolation } from "./interpolation.js";
import { Overlay } from "./overlay.js";
import { photoOf, problemOf } from "./photo.js";
import { PixelTarget } from "./pixel_target.js";
import { ShownChannels } from "./shown_channels.js";
import { StaticOverlay } from "./static_overlay.js";
import { Strip } from "./strip.js";
import { IMAGE_TRAITS, type ImageLook, type ImageTraits } from "./traits.js";
import { UnchangedPixels } from "./unchanged_pixels.js";

/** Photos, explained pixel by pixel. */
export const image: Kind<ImageTraits> = {
  name: "image",
  element: "pixel",
  traits: IMAGE_TRAITS,
  problemOf,
  cells: (display, look) => cellsOf(display, (look as ImageLook).grain),
  view,
};

const OPACITY = "How much the map covers the picture: at 0 there is the picture alone.";
const GRAIN = {
  label: "grain",
  title: "Draws sums over cells in place of pixels: patches of that many pixels, or superpixels.",
};
const GROUND = {
  label: "over",
  title: "What lies under the colours: the picture in light greys, or as it is.",
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
    nameOf: (pixel: number, { begin, map }: Shown) => {
      const { width } = photoOf(begin.display);
      const what = map.cells === undefined ? "pixel" : `${map.cells.element} at`;
      return `${what} (${pixel % width}, ${Math.floor(pixel / width)})`;
    },
  };
  const place = new PixelTarget(host, map);
  traits.on(["_audits"], redraw, signal);
  const opacity = {
    label: "opacity",
    title: OPACITY,
    min: 0,
    max: 1,
    step: 0.01,
    format: twoDecimals,
  };
  const dropper = button("pick a colour from the image", {
    title: "The next click on the map makes the colour there the baseline; Escape gives up.",
  });
  listen(dropper, "click", () => picker.begin(root), signal);
  const choose = (mode: Mode) => {
    map.tool.mode = mode;
  };
  const modes = new Modes("a drag on the attribution", MODES, map.tool.mode, choose, signal);
  const input = new Interpolation(selections, zoom, redraw, signal);
  map.outlined = (draft) => input.outline(draft);
  return {
    map,
    mapBeside: (life) => new Overlay(selections, zoom, redraw, life, true),
    staticMap,
    input,
    strip: new Strip(host).element,
    tools: [modes.element, zoom.controls, place.element],
    controls: {
      first: [
        new ListSlider(traits, "grain", GRAIN, GRAINS, inWords, signal).element,
        new Slider(traits, "opacity", opacity, signal).element,
      ],
      more: [
        new Choice(traits, "ground", GROUND, ["grey", "colour"], signal).element,
        new ShownChannels(traits, signal).element,
        unchanged.control,
      ],
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
