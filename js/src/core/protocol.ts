/**
 * The messages between kernel and browser, as types, and the border where they are checked.
 *
 * ARCHITECTURE.md ("Messages") says what each is for; `explorers/protocol.py` is the other side, and
 * `tests/fixtures/protocol/` holds examples that the tests of both sides read.
 */
import { Malformed, MessageReader } from "./message_reader.js";

/** What a person asks for; the picture shown always answers exactly these. */
export interface Settings {
  readonly baseline: string;
  readonly target: number;
  readonly output: string;
  readonly method: string;
  /** 0 where the method samples to a tolerance, and that is 0 where it does not. */
  readonly n_steps: number;
  readonly tol: number;
  /** What is drawn: the sum over the channels, or one of them. */
  readonly channel: string;
}

export interface Entry {
  readonly id: number;
  readonly weight: number;
  readonly from: number;
  readonly to: number;
}

export type Point = readonly [alpha: number, value: number];

/** One attribution map, as it came: value = levels * scale. */
export interface Sample {
  readonly levels: Int16Array;
  readonly scale: number;
  /** Over all pixels, where the levels are too coarse to tell it. */
  readonly sum?: number;
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
  readonly height: number;
  readonly width: number;
  readonly total: number;
  readonly outputName: string;
  readonly className: string;
  /** What lies between baseline and input; of draws alpha is the share that is taken. */
  readonly path: (typeof PATHS)[number];
  readonly photo: Uint8Array;
  readonly baseline: Uint8Array;
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

/** What this view has asked for, to be saved. */
export interface SentFile extends Reply {
  readonly type: "file";
  readonly name: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Over the maps of several baselines, each pixel's mean and standard deviation; `number` as in the trait. */
export interface Dependence extends Reply {
  readonly type: "dependence";
  readonly number: number;
  readonly height: number;
  readonly width: number;
  readonly mean: Sample;
  readonly deviation: Sample;
}

export type FromKernel = Begin | Samples | Plan | Done | Beat | Failed | SentFile | Dependence;

export type ToKernel =
  | { readonly type: "want"; readonly view: string; readonly pane: number }
  | { readonly type: "ack"; readonly view: string; readonly count: number }
  | { readonly type: "leave"; readonly view: string }
  | { readonly type: "cancel"; readonly view: string; readonly request: number }
  | { readonly type: "gallery"; readonly view: string }
  | { readonly type: "dependence"; readonly view: string }
  /** With the file in one buffer. */
  | { readonly type: "upload"; readonly view: string; readonly name: string }
  | { readonly type: "export"; readonly view: string; readonly kind: ExportKind };

export const EXPORTS = ["png", "svg", "npz", "html"] as const;
export type ExportKind = (typeof EXPORTS)[number];

export type Decoded =
  | { readonly ok: true; readonly message: FromKernel }
  | { readonly ok: false; readonly reason: string };

/** Whether a message is for this view. Asked first: others' messages are not even decoded. */
export function isFor(view: string, content: unknown): boolean {
  return has(content, "view", view);
}

/** Whether a message, malformed perhaps, is one that the kernel wants acknowledged. */
export function isSamples(content: unknown): boolean {
  return has(content, "type", "samples");
}

function has(content: unknown, name: string, value: string): boolean {
  return typeof content === "object" && content !== null && Reflect.get(content, name) === value;
}

/** The only way in. Never throws: a bad message becomes a reason, in words. */
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
    case "dependence":
      return readDependence(reader, reply, buffers);
    default:
      throw new Malformed(`a message of the unknown type "${type}"`);
  }
}

function readBegin(reader: MessageReader, reply: Reply, buffers: readonly DataView[]): Begin {
  const settings = reader.record("settings");
  const [height, width] = readShape(reader);
  const [photo, baseline, ...more] = buffers.map(bytes);
  if (photo?.length !== height * width * 3 || baseline?.length !== photo.length || more.length > 0)
    throw new Malformed(`begin must carry photo and baseline of ${height} x ${width} RGB pixels`);
  return {
    ...reply,
    type: "begin",
    trace: reader.count("trace"),
    settings: {
      baseline: settings.text("baseline"),
      target: settings.count("target"),
      output: settings.text("output"),
      method: settings.text("method"),
      n_steps: settings.count("n_steps"),
      tol: settings.number("tol"),
      channel: settings.text("channel"),
    },
    height,
    width,
    total: reader.count("total"),
    outputName: reader.text("output_name"),
    className: reader.text("class_name"),
    path: reader.oneOf("path", PATHS),
    photo,
    baseline,
  };
}

function readSamples(reader: MessageReader, reply: Reply, buffers: readonly DataView[]): Samples {
  const ids = reader.counts("ids");
  const scales = reader.numbers("scales");
  if (ids.length !== buffers.length || scales.length !== buffers.length)
    throw new Malformed(
      `samples has ${ids.length} ids, ${scales.length} scales and ${buffers.length} maps`,
    );
  const sums = reader.has("sums") ? reader.numbers("sums") : [];
  const samples = buffers.map((buffer, i) => {
    const [scale = 0, sum] = [scales[i], sums[i]];
    return { levels: levels(buffer), scale, ...(sum === undefined ? {} : { sum }) };
  });
  return { ...reply, type: "samples", trace: reader.count("trace"), ids, samples };
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

function readDependence(
  reader: MessageReader,
  reply: Reply,
  buffers: readonly DataView[],
): Dependence {
  const [height, width] = readShape(reader);
  const maps = buffers.map(levels);
  const [mean, deviation] = reader.numbers("scales").map((scale, i): Sample => {
    return { levels: maps[i] ?? new Int16Array(), scale };
  });
  const isWhole = maps.length === 2 && maps.every(({ length }) => length === height * width);
  if (mean === undefined || deviation === undefined || !isWhole)
    throw new Malformed(`dependence must carry two maps of ${height} x ${width} pixels`);
  return {
    ...reply,
    type: "dependence",
    number: reader.count("number"),
    height,
    width,
    mean,
    deviation,
  };
}

function readShape(reader: MessageReader): [height: number, width: number] {
  const [height, width, ...rest] = reader.counts("shape");
  if (!height || !width || rest.length > 0) throw new Malformed("shape must be [height, width]");
  return [height, width];
}

/** The pieces must follow each other from 0 to 1: drawing looks a piece up by its place alone. */
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

/** Little endian, as every machine with a browser is. An Int16Array cannot start at an odd byte. */
function levels(buffer: DataView): Int16Array {
  if (buffer.byteLength % 2 !== 0) throw new Malformed("a map has half a number at its end");
  if (buffer.byteOffset % 2 === 0)
    return new Int16Array(buffer.buffer, buffer.byteOffset, buffer.byteLength / 2);
  return new Int16Array(bytes(buffer).slice().buffer);
}
