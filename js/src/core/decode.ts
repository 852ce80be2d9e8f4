/** Decodes the messages of the kernel: the only place that reads what has not been validated. */
import { Malformed, MessageReader } from "./message_reader.js";
import {
  type Begin,
  type Display,
  type DisplayArray,
  type Entry,
  type FromKernel,
  PATHS,
  type PanelMaps,
  type Plan,
  type Point,
  type Reply,
  type Sample,
  type Samples,
} from "./protocol.js";
import { SETTINGS_TABLE, type Settings } from "./settings.js";

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
