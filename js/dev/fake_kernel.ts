import type { Settings } from "../src/core/settings.js";
import { defaults, FakeModel } from "../tests/support/fake_model.js";
import { RowScene } from "../tests/support/rows.js";
import { type EntryRow, Scene } from "../tests/support/scene.js";

const SIZE = 224;
const FEATURES = [
  "median income",
  "house age",
  "average rooms",
  "average bedrooms",
  "population",
  "average occupancy",
  "latitude",
  "longitude",
];
const LABELS = ["Egyptian cat", "tabby", "tiger cat", "lynx", "crane", "espresso", "crane"];

/** Answers wishes about a picture that no model has seen, coarse first, as the kernel does. */
export class FakeKernel {
  readonly model = new FakeModel({
    ...defaults(),
    alpha: 0.62,
    n_steps: 64,
    target: 0,
    opacity: 0.85,
    _labels: LABELS,
    _n_classes: LABELS.length,
    _top: [
      [0, 0.761],
      [1, 0.114],
      [2, 0.058],
      [3, 0.021],
      [5, 0.002],
    ],
  });
  readonly #isTable: boolean;
  #request = 0;

  constructor(isTable = false) {
    this.#isTable = isTable;
    for (const name of ["baseline", "target", "output", "method", "n_steps"])
      this.model.on(`change:${name}`, () => this.answer());
  }

  answer(): void {
    this.#request += 1;
    const request = this.#request;
    const { model } = this;
    const settings: Settings = {
      input: model.get("input"),
      baseline: model.get("baseline"),
      target: model.get("target"),
      output: model.get("output"),
      method: model.get("method"),
      n_steps: model.get("n_steps"),
      tol: 0,
      channel: model.get("channel"),
    };
    const n = settings.n_steps;
    const scene = this.#isTable
      ? new RowScene(FEATURES, { count: n, trace: request })
      : new Scene({ width: SIZE, height: SIZE, count: n, trace: request });
    if (!this.#isTable) paint(scene, settings.baseline);
    const coarse = Math.min(4, n);
    const stages = [...new Set([coarse, Math.min(16, n), n])];
    model.receive(scene.begin(model.view, request, settings));
    const step = () => {
      if (request !== this.#request) return;
      const count = stages.shift();
      if (count === undefined) return model.receive(scene.done(model.view, request));
      const ids = scene.levels.map((_, i) => i).slice(0, count);
      model.receive(scene.samples(model.view, request, ids));
      model.receive(scene.plan(model.view, request, plan(scene, count)));
      setTimeout(step, 150);
    };
    step();
  }
}

/** A round "cat" on a gradient, and maps that light up its rim, at another place for each alpha. */
function paint(scene: Scene, baseline: string): void {
  scene.baseline.fill(baseline === "white" ? 255 : baseline === "black" ? 0 : 120);
  for (let row = 0; row < SIZE; row++)
    for (let column = 0; column < SIZE; column++) {
      const at = row * SIZE + column;
      const far = Math.hypot(column - 118, row - 104) / 62;
      const ears =
        Math.min(Math.hypot(column - 78, row - 46), Math.hypot(column - 158, row - 46)) / 24;
      const cat = far < 1 || ears < 1;
      const stripe = 24 * Math.sin(column / 5 + Math.sin(row / 9) * 2);
      scene.photo.set(
        cat
          ? [168 + stripe, 128 + stripe, 92 + stripe]
          : [90 + row / 4, 118 + row / 5, 128 + column / 6],
        3 * at,
      );
      scene.levels.forEach((levels, i) => {
        const ring = Math.exp(-(((far - 0.3 - (0.7 * i) / scene.levels.length) * 5) ** 2));
        const ear = Math.exp(-((ears - 0.6) ** 2) * 4) * 1.4;
        const grain = Math.sin(at * 12.9898 + i) * Math.cos(at * 0.731);
        levels[at] = 16000 * ((ring + ear) * (0.5 + 0.8 * grain) - (cat ? 0 : 0.12 * grain + 0.03));
      });
    }
  scene.scales.fill(0.006 / 16000);
}

function plan(scene: Scene, count: number): object {
  const entries = Array.from(
    { length: count },
    (_, i): EntryRow => [i, 1 / count, i / count, (i + 1) / count],
  );
  const sums = entries.map(([id]) => {
    const levels = scene.levels[id] ?? new Int16Array();
    return levels.reduce((sum, level) => sum + level, 0) * (scene.scales[id] ?? 0);
  });
  const sum = sums.reduce((a, b) => a + b, 0) / count;
  let F = -0.42;
  const outputs = [[0, F]];
  entries.forEach(([, , , to], i) => {
    F += (sums[i] ?? 0) / count;
    outputs.push([to, F]);
  });
  const density = entries.map(([, , from, to], i) => [(from + to) / 2, sums[i]]);
  return { entries, outputs, density, sum, delta: 0.0123, evaluations: count, final: count > 16 };
}
