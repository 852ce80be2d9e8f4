import type { Begin, Display } from "./protocol.js";
import type { Picture, Store } from "./store.js";
import type { TraitTable } from "./trait_table.js";
import type { CoreTraits, Look, Traits } from "./traits.js";

/**
 * A kind of explorer: what the shared parts do not know. `image/kind.ts` is one, `table/kind.ts` the smallest; an entry in
 * `explorers/` makes a bundle of it.
 */
export interface Kind<T extends CoreTraits = CoreTraits> extends KindData {
  /** Called once for each view of an explorer: what it returns shares zoom, cursor and selection. */
  view(host: Host<T>): KindView;
}

/** What is known of a kind where nothing is drawn. */
export interface KindData {
  /** As `display.kind` has it. */
  readonly name: string;
  /** What one value of a map belongs to: "pixel", "feature". */
  readonly element: string;
  readonly traits: TraitTable;
  /** Returns what is wrong with a display, in words; undefined where it can be drawn. */
  problemOf(display: Display): string | undefined;
}

/** The view that a kind's parts are made for. */
export interface Host<T extends CoreTraits = CoreTraits> {
  /** Takes the whole explorer in. */
  readonly root: HTMLElement;
  readonly store: Store;
  readonly traits: Traits<T>;
  /** Asks for another frame. */
  readonly redraw: () => void;
  readonly signal: AbortSignal;
}

/** The parts of one view that depend on the kind. */
export interface KindView {
  /** The map of the first pane. */
  readonly map: MapView;
  /** The map of one more pane, which lasts as long as that. */
  mapBeside(signal: AbortSignal): MapView;
  /** A map that does not move with alpha, with more below it. */
  staticMap(...below: Node[]): StaticMap;
  /** What lies on the path at alpha; none where the map shows it. */
  readonly input?: InputView;
  /** Buttons for the pictures. */
  readonly tools: readonly HTMLElement[];
  /** Controls of looks of its own, before and among those that all kinds have. */
  readonly controls: {
    readonly first: readonly HTMLElement[];
    readonly more: readonly HTMLElement[];
  };
  /** What helps to read the picture, and what can be folded out below it. */
  readonly aids: readonly Part[];
  readonly panels: readonly Part[];
  /** Which files may be baselines, and a button to take one from the picture. */
  readonly baselines: {
    readonly tools: readonly HTMLElement[];
    readonly files?: { readonly accept: string; readonly label: string; readonly words: string };
  };
}

/** Shows an attribution. `colormap`s are painted by 256 RGB colours. */
export interface MapView {
  readonly element: HTMLElement;
  /** What is under the pointer, in numbers. */
  readonly readout: HTMLElement;
  /** The element of the map that is under the pointer or the keys' cursor, in C order. */
  readonly pointed: number | undefined;
  readonly drawnBy?: DrawnBy | undefined;
  show(picture: Picture): void;
  /** Called in each frame: cheap where nothing has changed. `scale` is the value at the colour map's ends. */
  draw(look: Look, scale: number): void;
  paint(lut: Uint8Array): void;
  /** Points where another map is pointed at. */
  follow(element: number | undefined): void;
}

/** Which renderer is at work, and why. */
export interface DrawnBy {
  readonly renderer: { readonly name: string };
  readonly reason: string;
}

export interface InputView {
  readonly element: HTMLElement;
  readonly title: HTMLElement;
  show(begin: Begin): void;
  move(alpha: number): void;
}

export interface StaticMap {
  readonly element: HTMLElement;
  draw(begin: Begin, values: Float32Array, look: Look, scale: number, lut: Uint8Array): void;
  /** Title, what stands below the map, and its name for who does not see it. */
  write(title: string, note: string, label: string): void;
}

/** A part of the view that a kind adds. */
export interface Part {
  readonly elements: readonly HTMLElement[];
  draw?(frame: Frame): void;
}

/** All that a frame is drawn from. */
export interface Frame {
  readonly picture: Picture | undefined;
  readonly look: Look;
  readonly scale: number;
  readonly lut: Uint8Array | undefined;
  readonly pointed: number | undefined;
}
