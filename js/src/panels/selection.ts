import { along } from "../charts/along.js";
import { Curve, type Subject } from "../charts/curve.js";
import type { Picture } from "../core/store.js";
import type { Audit, Look, Traits } from "../core/traits.js";
import { percent, signed, significant } from "../util/format.js";
import type { Pixel } from "../views/cursor.js";
import type { Region } from "../views/region.js";
import { RegionCurves, type RegionSum } from "./selection_sums.js";
import { type Column, RegionTable } from "./selection_table.js";
import type { Regions } from "./selections.js";

type Audited = Exclude<Audit, { readonly error: string }>;

/** What helps to read one picture, beside the picture. The kernel is asked for the audits of regions alone. */
export class SelectionPanel {
  readonly elements: readonly HTMLElement[];
  readonly #regions: Regions;
  readonly #traits: Traits;
  readonly #sums = new RegionCurves();
  readonly #curve: Curve;
  readonly #table: RegionTable;
  readonly #matched = new WeakMap<Audited, Region>();
  #picture: Picture | undefined;
  #alpha = 0;
  #pixelCurve: Subject | undefined;

  constructor(regions: Regions, traits: Traits, signal: AbortSignal) {
    this.#regions = regions;
    this.#traits = traits;
    this.#curve = new Curve(signal);
    this.#table = new RegionTable(regions, this.#columns(), signal);
    this.elements = [this.#curve.element, this.#table.element];
  }

  /** Once a frame; what did not change is not made again. */
  draw(picture: Picture | undefined, { alpha }: Look, pixel: Pixel | undefined): void {
    if (picture !== this.#picture) this.#pixelCurve = undefined;
    this.#picture = picture;
    this.#alpha = alpha;
    this.#table.draw();
    this.#curve.show(this.#subject(pixel), alpha);
  }

  #columns(): Column[] {
    const column = (name: string, value: (sum: RegionSum, picture: Picture) => string): Column => ({
      name,
      value: (index) => {
        const region = this.#regions.get()[index];
        if (this.#picture === undefined || region === undefined) return "";
        return value(this.#sums.of(this.#picture, region), this.#picture);
      },
    });
    return [
      column("pixels", ({ pixels }) => String(pixels)),
      column("sum up to α", ({ curve }) => signed(along(curve, this.#alpha))),
      column("of the total", ({ curve }, { plan }) =>
        percent(along(curve, this.#alpha) / plan.sum),
      ),
      { name: "F without it", value: (index) => this.#audited(index, without) },
      { name: "F with it alone", value: (index) => this.#audited(index, alone) },
    ];
  }

  /** What the model says of a region; it is asked again when region, baseline or target change. */
  #audited(index: number, value: (audit: Audited) => string): string {
    const audit = this.#traits.get("_audits")[index];
    const region = this.#regions.get()[index];
    const none = this.#traits.isRecording ? "n/a" : "…";
    if (audit === undefined || region === undefined) return none;
    if ("error" in audit) return "n/a";
    return this.#isOf(audit, region) ? value(audit) : none;
  }

  /** Compared once: a mask may be thousands of numbers, and this is asked in each frame. */
  #isOf(audit: Audited, region: Region): boolean {
    if (this.#matched.get(audit) === region) return true;
    if (JSON.stringify(audit.region) !== JSON.stringify(region)) return false;
    this.#matched.set(audit, region);
    return true;
  }

  /** The selected region, else the pixel under the cross-hair. */
  #subject(pixel: Pixel | undefined): Subject | undefined {
    const { selected, selectedIndex } = this.#regions;
    if (this.#picture === undefined) return undefined;
    if (selected !== undefined) {
      const name = `region ${(selectedIndex ?? 0) + 1}`;
      return { name, line: this.#sums.of(this.#picture, selected).curve };
    }
    if (pixel === undefined) return undefined;
    const name = `pixel (${pixel.column}, ${pixel.row})`;
    if (this.#pixelCurve?.name !== name) {
      const { begin, map } = this.#picture;
      this.#pixelCurve = {
        name,
        line: map.elementCurve(pixel.row * (begin.display.shape[1] ?? 0) + pixel.column),
      };
    }
    return this.#pixelCurve;
  }
}

function without({ without: value, output }: Audited): string {
  return `${significant(value)} (${signed(value - output)})`;
}

function alone({ only, baseline }: Audited): string {
  return `${significant(only)} (${signed(only - baseline)})`;
}
