import type { Settings } from "../../src/core/settings.js";
import type { Wire } from "./fake_model.js";
import { ASKED, Scene } from "./scene.js";

/** A row of a table with samples that no model has made: the messages of a scene, with floats for maps. */
export class RowScene extends Scene {
  readonly names: readonly string[];
  readonly values: Float32Array<ArrayBuffer>;
  readonly reference: Float32Array<ArrayBuffer>;
  /** Of each sample, the map. */
  readonly maps: Float32Array<ArrayBuffer>[];

  constructor(
    names: readonly string[],
    options: { readonly count?: number; readonly seed?: number; readonly trace?: number } = {},
  ) {
    super({ width: names.length, height: 1, ...options });
    this.names = names;
    this.values = Float32Array.from(names, (_, i) => 10 * (i + 1));
    this.reference = Float32Array.from(names, (_, i) => 10 * (i + 1) - 4 + i);
    this.maps = this.levels.map((levels, i) =>
      Float32Array.from(levels, (level) => level * (this.scales[i] ?? 0)),
    );
  }

  override begin(view: string, request: number, settings: Partial<Settings> = {}): Wire {
    const { content } = super.begin(view, request, settings);
    const shape = [this.names.length];
    const arrays = ["values", "baseline"].map((name) => ({ name, dtype: "f4", shape }));
    const display = { kind: "table", shape, meta: { names: this.names }, arrays };
    const buffers = [this.values, this.reference].map((row) => new DataView(row.buffer));
    const settled = { ...ASKED, ...settings };
    return { content: { ...content, settings: settled, display } as Wire["content"], buffers };
  }

  override samples(view: string, request: number, ids = this.maps.map((_, i) => i)): Wire {
    const { content } = super.samples(view, request, ids);
    const buffers = ids.map((id) => new DataView((this.maps[id] ?? new Float32Array()).buffer));
    return {
      content: { ...content, dtype: "f4", scales: ids.map(() => 1) } as Wire["content"],
      buffers,
    };
  }

  /** What the definition says that a feature has collected up to alpha. */
  collected(feature: number, alpha: number): number {
    return this.entries.reduce((sum, [id, weight, from, to]) => {
      const part = Math.min(Math.max((alpha - from) / (to - from), 0), 1);
      return sum + weight * part * (this.maps[id]?.[feature] ?? 0);
    }, 0);
  }
}
