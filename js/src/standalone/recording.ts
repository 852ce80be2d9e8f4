/** Reads the recording that Python wrote into the page. */

export type Values = Readonly<Record<string, unknown>>;

/** The messages of one path: `begin` and `samples`. */
export interface Path {
  readonly begin: Values;
  readonly arrays: readonly DataView[];
  readonly samples: Values;
  readonly maps: readonly DataView[];
}

/** Settings that the samples of a path can answer. */
export interface Answer {
  readonly path: number;
  readonly settings: Values;
  readonly plan: Values;
  readonly end: Values;
}

export interface Recording {
  /** Kind of the first display. */
  readonly kind: string;
  readonly traits: Values;
  /** 256 RGB colours each. */
  readonly tables: ReadonlyMap<string, DataView>;
  readonly paths: readonly Path[];
  readonly answers: readonly Answer[];
}

/** The recording as it is written; `data` has the bytes of all paths, deflated. */
interface Written {
  readonly traits: Values;
  readonly tables: Readonly<Record<string, string>>;
  readonly paths: readonly WrittenPath[];
  readonly answers: readonly Answer[];
  readonly data: string;
}

interface WrittenPath {
  readonly begin: Values;
  /** How many bytes each array of the display has, and each map. */
  readonly arrays: readonly number[];
  readonly samples: Values;
  readonly maps: readonly number[];
}

export async function read(text: string): Promise<Recording> {
  const written = JSON.parse(text) as Written;
  const parts = new Parts(await inflate(bytes(written.data)));
  const tables = Object.entries(written.tables).map(
    ([name, colors]) => [name, view(bytes(colors))] as const,
  );
  const display = written.paths[0]?.begin.display as { readonly kind?: string } | undefined;
  return {
    kind: display?.kind ?? "",
    traits: written.traits,
    tables: new Map(tables),
    // In the order in which they are written: arrays, then maps, path by path.
    paths: written.paths.map(({ begin, arrays, samples, maps }) => ({
      begin,
      arrays: arrays.map((size) => view(parts.next(size))),
      ...(samples.dtype === "i1"
        ? {
            samples: { ...samples, dtype: "i2" },
            maps: maps.map((size) => widened(parts.next(size))),
          }
        : { samples, maps: maps.map((size) => view(parts.next(size))) }),
    })),
    answers: written.answers,
  };
}

class Parts {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(all: Uint8Array<ArrayBuffer>) {
    this.#bytes = all;
  }

  next(size: number): Uint8Array<ArrayBuffer> {
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
}

/** Widens to int16: files have 8 bits to be smaller, messages do not. */
function widened(eight: Uint8Array<ArrayBuffer>): DataView {
  return view(Int16Array.from(new Int8Array(eight.buffer, eight.byteOffset, eight.byteLength)));
}

function view({ buffer, byteOffset, byteLength }: ArrayBufferView): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function inflate(deflated: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
