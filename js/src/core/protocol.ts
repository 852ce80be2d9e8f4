/**
 * The messages between kernel and browser, as types, and the border where they are checked.
 *
 * ARCHITECTURE.md ("Messages") says what each is for; `explorers/protocol.py` is the other side, and
 * `tests/fixtures/protocol/` holds examples that the tests of both sides read.
 */
import { Malformed, MessageReader } from "./message_reader.js";
import { SETTINGS_TABLE, type Settings } from "./settings.js";

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

interface Reply {
  readonly view: string;
  readonly request: number;
}

const PATHS = ["straight", "curved", "draws"] as const;

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

export type Decoded =
  | { readonly ok: true; readonly message: FromKernel }
  | { readonly ok: false; readonly reason: string };

/** Whether a message is for this view. Checked before decoding. */
export function isFor(view: string, content: unknown): boolean {
  return has(content, "view", view);
}

/** Whether a message, even a malformed one, has to be acknowledged. */
export function isSamples(content: unknown): boolean {
  return has(content, "type", "samples");
}

function has(content: unknown, name: string, value: string): boolean {
  return typeof content === "object" && content !== null && Reflect.get(content, name) === value;
}

/** Decodes a message. Never throws: a malformed message becomes a reason in words. */
export function decode(content: unknown, buffers: readonly DataView[]): Decoded {
  try {
    return { ok: true, message: read(new MessageReader(content, "message"), buffers) };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, reason: error.message };
    throw error;
  }
}

function read(reader: MessageReader, buffers: readonly DataView[]): FromKernel {
  const type = reader.text("type");
  const reply = { view: reader.text("view"), request: reader.count("request") };
  switch (type) {
    case "begin":
      return readBegin(reader, reply, buffers);
    case "samples":
      return readSamples(reader, reply, buffers);
    case "plan":
      return readPlan(reader, reply);
    case "done":
      return {
        ...reply,
        type,
        evaluations: reader.count("evaluations"),
        elapsed: reader.number("elapsed"),
      };
    case "beat":
      return { ...reply, type };
    case "failed":
      return {
        ...reply,
        type,
        kind: reader.oneOf("kind", ["cancelled", "error"]),
        message: reader.text("message"),
        hint: reader.text("hint"),
      };
    case "file": {
      const [data] = buffers.map(bytes);
      if (data === undefined) throw new Malformed("a file has come without its bytes");
      return { ...reply, type, name: reader.text("name"), data: data.slice() };
    }
    case "maps":
      return readMaps(reader, reply, buffers);
    default:
      throw new Malformed(`a message of the unknown type "${type}"`);
  }
}

function readBegin(reader: MessageReader, reply: Reply, buffers: readonly DataView[]): Begin {
  return {
    ...reply,
    type: "begin",
    trace: reader.count("trace"),
    settings: readSettings(reader.plain("settings")),
    total: reader.count("total"),
    outputName: reader.text("output_name"),
    targetName: reader.text("target_name"),
    path: reader.oneOf("path", PATHS),
    display: readDisplay(reader.record("display"), buffers),
  };
}

function readSettings(settings: Readonly<Record<string, unknown>>): Settings {
  const bad = Object.entries(SETTINGS_TABLE).find(
    ([name, { isValid }]) => !isValid(settings[name]),
  );
  if (bad !== undefined) throw new Malformed(`settings have no ${bad[0]}, or not a valid one`);
  return settings as Settings;
}

function readDisplay(reader: MessageReader, buffers: readonly DataView[]): Display {
  const shape = readShape(reader);
  const described = reader.records("arrays");
  if (described.length !== buffers.length)
    throw new Malformed(`display names ${described.length} arrays, and ${buffers.length} came`);
  const arrays = described.map((array, i): [string, DisplayArray] => {
    const [name, shape] = [array.text("name"), readShape(array)];
    const values = numbers(buffers[i] as DataView, array.oneOf("dtype", ["u1", "f4"]), name);
    if (values.length !== sizeOf(shape))
      throw new Malformed(`${name} has ${values.length} numbers, and not ${shape.join(" x ")}`);
    return [name, { shape, values }];
  });
  return {
    kind: reader.text("kind"),
    shape,
    size: sizeOf(shape),
    meta: reader.plain("meta"),
    arrays: Object.fromEntries(arrays),
  };
}

function readSamples(reader: MessageReader, reply: Reply, buffers: readonly DataView[]): Samples {
  const ids = reader.counts("ids");
  if (ids.length !== buffers.length)
    throw new Malformed(`samples has ${ids.length} ids and ${buffers.length} maps`);
  const sums = reader.has("sums") ? reader.numbers("sums") : [];
  const samples = readEncoded(reader, buffers).map((sample, i) => {
    const sum = sums[i];
    return sum === undefined ? sample : { ...sample, sum };
  });
  return { ...reply, type: "samples", trace: reader.count("trace"), ids, samples };
}

/** Maps with a scale each, all of one type. */
function readEncoded(reader: MessageReader, buffers: readonly DataView[]): Sample[] {
  const scales = reader.numbers("scales");
  if (scales.length !== buffers.length)
    throw new Malformed(`${scales.length} scales have come with ${buffers.length} maps`);
  const dtype = reader.oneOf("dtype", ["i2", "f4"]);
  const maps = buffers.map((buffer) => numbers(buffer, dtype, "a map"));
  if (dtype === "f4" && maps.some((map) => !map.every(Number.isFinite)))
    throw new Malformed("a map has a value that is no finite number");
  return maps.map((map, i) => ({ numbers: map, scale: scales[i] ?? 0 }));
}

function readPlan(reader: MessageReader, reply: Reply): Plan {
  const entries = reader.rows("entries", 4).map(([id = 0, weight = 0, from = 0, to = 0]) => {
    return { id, weight, from, to };
  });
  requireTiling(entries);
  return {
    ...reply,
    type: "plan",
    trace: reader.count("trace"),
    entries,
    outputs: points(reader, "outputs"),
    density: points(reader, "density"),
    sum: reader.number("sum"),
    delta: reader.isNull("delta") ? null : reader.number("delta"),
    error: reader.isNull("error") ? null : reader.number("error"),
    evaluations: reader.count("evaluations"),
    final: reader.flag("final"),
  };
}

function readMaps(reader: MessageReader, reply: Reply, buffers: readonly DataView[]): PanelMaps {
  const size = sizeOf(readShape(reader));
  const names = reader.texts("names");
  const maps = readEncoded(reader, buffers);
  if (names.length !== maps.length || maps.some(({ numbers }) => numbers.length !== size))
    throw new Malformed(`maps must have ${names.length} buffers of ${size} numbers`);
  return {
    ...reply,
    type: "maps",
    panel: reader.text("panel"),
    number: reader.count("number"),
    size,
    maps: Object.fromEntries(names.map((name, i) => [name, maps[i] as Sample])),
  };
}

function readShape(reader: MessageReader): number[] {
  const shape = reader.counts("shape");
  if (shape.length === 0 || shape.includes(0))
    throw new Malformed("shape must be a list of numbers above 0");
  return shape;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** Entries must tile [0, 1], because renderers find a piece by alpha alone. */
function requireTiling(entries: readonly Entry[]): void {
  const ROUNDING = 1e-6;
  let end = 0;
  for (const { from, to } of entries) {
    if (Math.abs(from - end) > ROUNDING || to < from)
      throw new Malformed(`entries leave a gap or overlap at alpha ${end}`);
    end = to;
  }
  if (Math.abs(end - 1) > ROUNDING) throw new Malformed(`entries end at alpha ${end}, not at 1`);
}

function points(reader: MessageReader, name: string): Point[] {
  const rows = reader.rows(name, 2).map(([alpha = 0, value = 0]): Point => [alpha, value]);
  return rows.sort((a, b) => a[0] - b[0]);
}

function bytes(buffer: DataView): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

const TYPES = { u1: Uint8Array, i2: Int16Array, f4: Float32Array } as const;
type Numbers<T extends keyof typeof TYPES> = InstanceType<(typeof TYPES)[T]>;

/** Little endian, as every machine with a browser is. */
function numbers<T extends keyof typeof TYPES>(buffer: DataView, dtype: T, name: string) {
  const Type = TYPES[dtype];
  const width = Type.BYTES_PER_ELEMENT;
  if (buffer.byteLength % width !== 0) throw new Malformed(`${name} ends in a part of a number`);
  // A typed array cannot start between two numbers of its buffer; a copy can.
  const { buffer: memory, byteOffset } =
    buffer.byteOffset % width === 0 ? buffer : bytes(buffer).slice();
  return new Type(memory as ArrayBuffer, byteOffset, buffer.byteLength / width) as Numbers<T>;
}
