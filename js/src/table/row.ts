import type { Display } from "../core/protocol.js";

/** The display of a table: one row of it, and the row that it is compared with. */
export interface Row {
  /** Of the features; users wrote them. */
  readonly names: readonly string[];
  readonly values: Float32Array;
  readonly baseline: Float32Array;
}

/** Returns what is wrong with a display that is to be a table, in words; undefined where nothing is. */
export function problemOf({ kind, shape, size, meta, arrays }: Display): string | undefined {
  if (kind !== "table" || shape.length !== 1) return `a ${kind} of ${shape.length} dimensions`;
  const { names } = meta;
  if (!Array.isArray(names) || names.length !== size || !names.every((n) => typeof n === "string"))
    return "a table without a name for each feature";
  const isGood = (name: string) =>
    arrays[name]?.values instanceof Float32Array && arrays[name].values.length === size;
  return isGood("values") && isGood("baseline") ? undefined : "a table without its two rows";
}

/** Reads a display of which `problemOf` has nothing to say. */
export function rowOf({ meta, arrays }: Display): Row {
  const numbers = (name: string) => arrays[name]?.values as Float32Array;
  return {
    names: meta.names as string[],
    values: numbers("values"),
    baseline: numbers("baseline"),
  };
}
