import type { Settings } from "../../src/core/settings.js";
import { defaults, type Wire } from "./fake_model.js";

export const ASKED: Settings = (({
  input,
  baseline,
  target,
  output,
  method,
  n_steps,
  channel,
}) => ({
  input,
  baseline,
  target,
  output,
  method,
  n_steps,
  tol: 0,
  channel,
}))(defaults());

/** Numbers that are the same in every run. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

export type EntryRow = readonly [id: number, weight: number, from: number, to: number];

/** A path with samples that no model has made, and the kernel's messages about it. */
export class Scene {
  readonly width: number;
  readonly height: number;
  readonly trace: number;
  readonly photo: Uint8Array<ArrayBuffer>;
  readonly baseline: Uint8Array<ArrayBuffer>;
  readonly levels: Int16Array<ArrayBuffer>[];
  readonly scales: number[];

  constructor({ width = 7, height = 5, count = 4, trace = 1, seed = 1 } = {}) {
    const next = random(seed);
    this.width = width;
    this.height = height;
    this.trace = trace;
    const rgb = () => Uint8Array.from({ length: width * height * 3 }, () => next() * 256);
    this.photo = rgb();
    this.baseline = rgb();
    this.levels = Array.from({ length: count }, () =>
      Int16Array.from({ length: width * height }, () => (next() - 0.5) * 65534),
    );
    this.scales = this.levels.map(() => (0.5 + next()) / 32767);
  }

  /** The midpoint rule's plan for all samples. */
  get entries(): EntryRow[] {
    const n = this.levels.length;
    return this.levels.map((_, i) => [i, 1 / n, i / n, (i + 1) / n]);
  }

  begin(view: string, request: number, settings: Partial<Settings> = {}): Wire {
    const content = {
      type: "begin" as const,
      view,
      request,
      trace: this.trace,
      settings: { ...ASKED, ...settings },
      display: {
        kind: "image",
        shape: [this.height, this.width],
        meta: {},
        arrays: ["photo", "baseline"].map((name) => {
          return { name, dtype: "u1", shape: [this.height, this.width, 3] };
        }),
      },
      total: this.levels.length,
      output_name: "logit",
      target_name: "Egyptian cat",
      path: "straight",
    };
    return { content, buffers: [this.photo, this.baseline].map((rgb) => new DataView(rgb.buffer)) };
  }

  samples(view: string, request: number, ids = this.levels.map((_, i) => i)): Wire {
    const content = {
      type: "samples" as const,
      view,
      request,
      trace: this.trace,
      ids,
      scales: ids.map((id) => this.scales[id]),
      dtype: "i2",
    };
    const maps = ids.map((id) => this.levels[id] ?? new Int16Array());
    return { content, buffers: maps.map((map) => new DataView(map.buffer)) };
  }

  plan(view: string, request: number, fields: object = {}): Wire {
    const content = {
      type: "plan" as const,
      view,
      request,
      trace: this.trace,
      entries: this.entries,
      outputs: [
        [0, -1],
        [0.5, 4],
        [1, 9.31],
      ],
      density: [
        [0.25, 10],
        [0.75, 10.6],
      ],
      sum: 10.322,
      delta: 0.012,
      error: null,
      evaluations: this.levels.length,
      final: true,
      ...fields,
    };
    return { content, buffers: [] };
  }

  done(view: string, request: number): Wire {
    const evaluations = this.levels.length;
    return {
      content: {
        type: "done" as const,
        view,
        request,
        evaluations,
        elapsed: 1.9,
      } as Wire["content"],
      buffers: [],
    };
  }

  /** Everything that answers one request. */
  answer(view: string, request: number, settings: Partial<Settings> = {}): Wire[] {
    return [
      this.begin(view, request, settings),
      this.samples(view, request),
      this.plan(view, request),
      this.done(view, request),
    ];
  }
}

export function failed(view: string, request: number, kind: string, message = "", hint = ""): Wire {
  const content = { type: "failed" as const, view, request, kind, message, hint };
  return { content, buffers: [] };
}
