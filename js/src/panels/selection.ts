import { along } from "../charts/along.js";
import { Curve, type NamedLine } from "../charts/curve.js";
import type { CumulativeMap } from "../core/cumulative_map.js";
import type { Frame, Part } from "../core/kind.js";
import type { Point } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import {
  either,
  list,
  maybe,
  number,
  offered,
  record,
  text,
  type Validator,
  writable,
} from "../core/trait_table.js";
import type { CoreTraits, Traits } from "../core/traits.js";
import { percent, signed, significant } from "../util/format.js";
import { type Column, SelectionTable } from "./selection_table.js";
import type { SelectedTraits, Selections } from "./selections.js";

/** The kernel's audit of a selection, or an error. */
export type Audit<S> =
  | { readonly error: string }
  | {
      readonly region: S;
      readonly sum: number;
      readonly share: number | null;
      readonly output: number;
      readonly without: number;
      readonly only: number;
      readonly baseline: number;
    };
type Audited<S> = Exclude<Audit<S>, { readonly error: string }>;

export type SelectionTraits<S> = CoreTraits &
  SelectedTraits<S> & { readonly _audits: readonly Audit<S>[] };

/** The traits of the panel, for selections that `isValid` accepts. */
export function selectionTraits<S>(isValid: Validator) {
  const audit = record({
    region: isValid,
    sum: number,
    share: maybe,
    output: number,
    without: number,
    only: number,
    baseline: number,
  });
  return {
    _regions: writable<readonly S[]>("regions", list(isValid), []),
    _audits: offered<readonly Audit<S>[]>(list(either(record({ error: text }), audit)), []),
  };
}

/** How a kind selects elements of its map. */
export interface Selecting<S> {
  readonly selections: Selections<S>;
  /** 1 for each element that is selected, 0 for others. */
  maskOf(selection: S, picture: Picture): Uint8Array;
  /** What one element is called: "pixel (3, 4)". */
  nameOf(element: number, picture: Picture): string;
}

interface Sum {
  readonly count: number;
  readonly curve: readonly Point[];
}

/** Selected parts of a map: what they collect along the path, and what the model says without them. */
export class SelectionPanel<S extends object> implements Part {
  readonly elements: readonly HTMLElement[];
  readonly #traits: Traits<SelectionTraits<S>>;
  readonly #selecting: Selecting<S>;
  readonly #curve: Curve;
  readonly #table: SelectionTable;
  /** Caches sums; neither a selection nor a map ever changes. */
  readonly #sums = new WeakMap<CumulativeMap, WeakMap<S, Sum>>();
  readonly #matched = new WeakMap<Audited<S>, S>();
  #picture: Picture | undefined;
  #alpha = 0;
  #elementCurve: NamedLine | undefined;

  constructor(traits: Traits<SelectionTraits<S>>, selecting: Selecting<S>, signal: AbortSignal) {
    this.#traits = traits;
    this.#selecting = selecting;
    const { element } = traits.kind;
    this.#curve = new Curve(element, signal);
    this.#table = new SelectionTable(selecting.selections, this.#columns(element), signal);
    this.elements = [this.#curve.element, this.#table.element];
  }

  /** Draws only what has changed. */
  draw({ picture, look, pointed }: Frame): void {
    if (picture !== this.#picture) this.#elementCurve = undefined;
    this.#picture = picture;
    this.#alpha = look.alpha;
    this.#table.draw();
    this.#curve.show(this.#plotted(pointed), look.alpha);
  }

  #columns(element: string): Column[] {
    const column = (name: string, value: (sum: Sum, picture: Picture) => string): Column => ({
      name,
      value: (index) => {
        const selection = this.#selecting.selections.get()[index];
        if (this.#picture === undefined || selection === undefined) return "";
        return value(this.#sumOf(this.#picture, selection), this.#picture);
      },
    });
    return [
      column(`${element}s`, ({ count }) => String(count)),
      column("sum up to α", ({ curve }) => signed(along(curve, this.#alpha))),
      column("of the total", ({ curve }, { plan }) =>
        percent(along(curve, this.#alpha) / plan.sum),
      ),
      { name: "F without it", value: (index) => this.#audited(index, without) },
      { name: "F with it alone", value: (index) => this.#audited(index, alone) },
    ];
  }

  #sumOf(picture: Picture, selection: S): Sum {
    const { map } = picture;
    const known = this.#sums.get(map) ?? new WeakMap<S, Sum>();
    this.#sums.set(map, known);
    const found = known.get(selection);
    if (found !== undefined) return found;
    const mask = this.#selecting.maskOf(selection, picture);
    const made = { count: mask.reduce((sum, one) => sum + one, 0), curve: map.maskCurve(mask) };
    known.set(selection, made);
    return made;
  }

  /** Returns a cell of the audit; "…" while the kernel computes it anew. */
  #audited(index: number, value: (audit: Audited<S>) => string): string {
    const audit = this.#traits.get("_audits")[index];
    const selection = this.#selecting.selections.get()[index];
    const none = this.#traits.isRecording ? "n/a" : "…";
    if (audit === undefined || selection === undefined) return none;
    if ("error" in audit) return "n/a";
    return this.#isOf(audit, selection) ? value(audit) : none;
  }

  /** Caches the comparison: a mask may be thousands of numbers, and this runs in each frame. */
  #isOf(audit: Audited<S>, selection: S): boolean {
    if (this.#matched.get(audit) === selection) return true;
    if (JSON.stringify(audit.region) !== JSON.stringify(selection)) return false;
    this.#matched.set(audit, selection);
    return true;
  }

  /** Returns the highlighted selection, else the element under the pointer. */
  #plotted(pointed: number | undefined): NamedLine | undefined {
    const { selected, selectedIndex } = this.#selecting.selections;
    if (this.#picture === undefined) return undefined;
    if (selected !== undefined) {
      const name = `region ${(selectedIndex ?? 0) + 1}`;
      return { name, line: this.#sumOf(this.#picture, selected).curve };
    }
    if (pointed === undefined) return undefined;
    const name = this.#selecting.nameOf(pointed, this.#picture);
    if (this.#elementCurve?.name !== name)
      this.#elementCurve = { name, line: this.#picture.map.elementCurve(pointed) };
    return this.#elementCurve;
  }
}

function without({ without: value, output }: { without: number; output: number }): string {
  return `${significant(value)} (${signed(value - output)})`;
}

function alone({ only, baseline }: { only: number; baseline: number }): string {
  return `${significant(only)} (${signed(only - baseline)})`;
}
