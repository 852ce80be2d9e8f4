/**
 * The messages between kernel and browser, as types; `decode.ts` validates them.
 *
 * ARCHITECTURE.md ("Messages") says what each is for; `explorers/protocol.py` is the other side, and
 * `tests/fixtures/protocol/` holds examples that the tests of both sides read.
 */
import type { Settings } from "./settings.js";

export interface Entry {
  readonly id: number;
  readonly weight: number;
  readonly from: number;
  readonly to: number;
}

export type Point = readonly [alpha: number, value: number];

/** One attribution map, flat and in C order, as it came: value = number * scale. */
export interface Sample {
  readonly numbers: Int16Array | Float32Array;
  readonly scale: number;
  /** Over the whole map, where the numbers are too coarse to tell it. */
  readonly sum?: number;
}

/** What is explained, as data that the view of its kind can draw. */
export interface Display {
  readonly kind: string;
  /** Of every map of it. */
  readonly shape: readonly number[];
  /** How many values a map has: the product of its shape. */
  readonly size: number;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, DisplayArray>>;
}

export interface DisplayArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array | Float32Array;
}

export interface Reply {
  readonly view: string;
  readonly request: number;
}

export const PATHS = ["straight", "curved", "draws"] as const;

export interface Begin extends Reply {
  readonly type: "begin";
  readonly trace: number;
  readonly settings: Settings;
  readonly total: number;
  readonly outputName: string;
  readonly targetName: string;
  /** The path between baseline and input; for draws alpha is the share of them. */
  readonly path: (typeof PATHS)[number];
  readonly display: Display;
}

export interface Samples extends Reply {
  readonly type: "samples";
  readonly trace: number;
  readonly ids: readonly number[];
  readonly samples: readonly Sample[];
}

export interface Plan extends Reply {
  readonly type: "plan";
  readonly trace: number;
  readonly entries: readonly Entry[];
  readonly outputs: readonly Point[];
  readonly density: readonly Point[];
  readonly sum: number;
  /** null where completeness is not claimed. */
  readonly delta: number | null;
  readonly error: number | null;
  readonly evaluations: number;
  readonly final: boolean;
}

export interface Done extends Reply {
  readonly type: "done";
  readonly evaluations: number;
  readonly elapsed: number;
}

/** A sign of life while something is computed. */
export interface Beat extends Reply {
  readonly type: "beat";
}

export interface Failed extends Reply {
  readonly type: "failed";
  readonly kind: "cancelled" | "error";
  readonly message: string;
  readonly hint: string;
}

/** A file that this view requested. */
export interface SentFile extends Reply {
  readonly type: "file";
  readonly name: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Maps that a panel requested, by name; `number` as in the panel's trait. */
export interface PanelMaps extends Reply {
  readonly type: "maps";
  readonly panel: string;
  readonly number: number;
  readonly size: number;
  readonly maps: Readonly<Record<string, Sample>>;
}

export type FromKernel = Begin | Samples | Plan | Done | Beat | Failed | SentFile | PanelMaps;

export type ToKernel =
  | { readonly type: "want"; readonly view: string; readonly pane: number }
  | { readonly type: "ack"; readonly view: string; readonly count: number }
  | { readonly type: "leave"; readonly view: string }
  | { readonly type: "cancel"; readonly view: string; readonly request: number }
  /** The cards of the baselines, or the maps of the dependence on them. */
  | { readonly type: "request"; readonly view: string; readonly panel: Panel }
  /** With the file in one buffer. */
  | { readonly type: "upload"; readonly view: string; readonly name: string }
  | { readonly type: "export"; readonly view: string; readonly kind: ExportKind };

export type Panel = "baselines" | "dependence";
export const EXPORTS = ["png", "svg", "npz", "html"] as const;
export type ExportKind = (typeof EXPORTS)[number];
