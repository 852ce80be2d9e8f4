import { describe, expect, onTestFinished, test } from "vitest";
import { userEvent } from "vitest/browser";
import { explorerOf } from "../src/explorers/explorer.js";
import explorer from "../src/explorers/image.js";
import "../src/explorers/image.css";
import { read } from "../src/standalone/recording.js";
import { Replay } from "../src/standalone/replay.js";
import { table } from "../src/table/kind.js";
import { signed } from "../src/util/format.js";
import { blueToRed, defaults } from "./support/fake_model.js";
import { choose, frame, View } from "./support/mount.js";
import { expectedPixels, expectSamePixels, pictureOf, pixelsOf } from "./support/pixels.js";
import { RowScene } from "./support/rows.js";
import { type EntryRow, Scene } from "./support/scene.js";

/** Maps that 8 bits can hold, so that what is drawn can be compared with the definition. */
const scene = new Scene({ width: 9, height: 6, count: 4, seed: 3 });
scene.levels.forEach((levels) => {
  levels.forEach((level, i) => {
    levels[i] = Math.round(level / 258);
  });
});

const two: EntryRow[] = [
  [0, 0.5, 0, 0.5],
  [2, 0.5, 0.5, 1],
];
const wishes = {
  input: "",
  baseline: "black",
  target: 1,
  output: "logit",
  method: "riemann_middle",
  n_steps: 4,
  tol: 0,
  channel: "sum",
};
const grey = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

async function deflated(parts: readonly Uint8Array<ArrayBuffer>[]): Promise<string> {
  const stream = new Blob([...parts]).stream().pipeThrough(new CompressionStream("deflate"));
  return base64(new Uint8Array(await new Response(stream).arrayBuffer()));
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** As Python writes it: the middle rule with 4 steps, and the left one with 2. */
async function written(): Promise<string> {
  const { type: _, ...begin } = { ...scene.begin("", 0).content };
  const maps = scene.levels.map((levels) => new Uint8Array(Int8Array.from(levels).buffer));
  const ids = scene.levels.map((_, i) => i);
  const end = { type: "done", evaluations: 4, elapsed: 0 };
  const { _lut, _colormaps, _cards, _notice, ...traits } = defaults();
  return JSON.stringify({
    traits,
    tables: { RdBu_r: base64(blueToRed()), greys: base64(grey) },
    paths: [
      {
        begin: { ...begin, type: "begin" },
        arrays: [scene.photo.length, scene.baseline.length],
        samples: { type: "samples", trace: scene.trace, ids, scales: scene.scales, dtype: "i1" },
        maps: maps.map(({ length }) => length),
      },
    ],
    answers: [
      { path: 0, settings: wishes, plan: scene.plan("", 0).content, end },
      {
        path: 0,
        settings: { ...wishes, method: "riemann_left", n_steps: 2 },
        plan: scene.plan("", 0, { entries: two, sum: 7.5 }).content,
        end,
      },
    ],
    data: await deflated([scene.photo, scene.baseline, ...maps]),
  });
}

async function shown() {
  const model = new Replay(await read(await written()));
  const life = new AbortController();
  const el = document.createElement("div");
  document.body.append(el);
  onTestFinished(() => {
    life.abort();
    el.remove();
  });
  const widget = explorer();
  widget.initialize({ model, signal: life.signal });
  widget.render({ model, el, signal: life.signal });
  await frame();
  return { model, view: new View(el, life) };
}

function expectDrawn(view: View, entries: readonly EntryRow[], alpha: number, lut = blueToRed()) {
  const { map } = pictureOf(scene, entries);
  const look = { sign: "all" as const, opacity: 1, scale: map.scale(99) };
  const expected = expectedPixels(scene, entries, alpha, look, lut);
  expectSamePixels(pixelsOf(view.canvas), expected);
}

describe("a recording, with no kernel", () => {
  test("has nothing that takes a kernel to answer, and regions with their sums", async () => {
    const { view } = await shown();
    const names = [...view.el.querySelectorAll("button, summary")]
      .filter((one) => one.checkVisibility())
      .map((one) => one.textContent);
    for (const gone of ["PNG", "HTML", "add a pane", "refine until 5%"])
      expect(names).not.toContain(gone);
    expect(view.text).not.toContain("what is absence");
    view.overlay.focus();
    await userEvent.keyboard("{Enter}{ArrowRight}{ArrowDown}{Enter}");
    await frame();
    expect(view.text).toMatch(/1 4 [+−][\d.]+ .*n\/a n\/a/);
  });

  test("shows what was sampled, and follows alpha", async () => {
    const { view } = await shown();
    expect(view.status.textContent).toBe("idle · 4 evaluations · webgl2");
    expectDrawn(view, scene.entries, 1);
    choose(view.slider("alpha"), "0.4");
    await frame();
    expectDrawn(view, scene.entries, 0.4);
  });

  test("paints by the colour maps that it holds", async () => {
    const { view } = await shown();
    expect([...view.list("colormap").options].map(({ value }) => value)).toEqual([
      "RdBu_r",
      "greys",
    ]);
    choose(view.list("colormap"), "greys");
    await frame();
    expectDrawn(view, scene.entries, 1, grey);
  });

  test("offers what was sampled, and the rest greyed out", async () => {
    const { view } = await shown();
    const open = (name: string) =>
      [...view.list(name).options].filter(({ disabled }) => !disabled).map(({ value }) => value);
    expect(open("rule")).toEqual(["riemann_left", "riemann_middle"]);
    expect(open("baseline")).toEqual(["black"]);
    expect(open("target")).toEqual(["1"]);
    expect(view.list("rule").options).toHaveLength(5);
  });

  test("another rule comes with a number of steps that was sampled", async () => {
    const { view } = await shown();
    choose(view.list("rule"), "riemann_left");
    await frame();
    expect(view.slider("steps").valueAsNumber).toBe(2);
    expect(view.text).toContain("of 7.50");
    expectDrawn(view, two, 1);
    choose(view.list("rule"), "riemann_middle");
    await frame();
    expect(view.slider("steps").valueAsNumber).toBe(4);
    expectDrawn(view, scene.entries, 1);
  });

  test("refuses in words what was not sampled, and goes on", async () => {
    const { view } = await shown();
    choose(view.slider("steps"), "7");
    await expect
      .poll(() => view.status.textContent)
      .toBe(
        "failed: riemann_middle with 7 steps was not sampled; sampled: 4. Open the notebook to compute it. · webgl2",
      );
    expect(view.text).toContain("previous picture");
    choose(view.slider("steps"), "4");
    await expect.poll(() => view.status.textContent).toBe("idle · 4 evaluations · webgl2");
    expect(view.text).not.toContain("previous picture");
  });

  test("answers each of two front ends", async () => {
    const { model, view } = await shown();
    const life = new AbortController();
    onTestFinished(() => life.abort());
    const el = document.createElement("div");
    const second = explorer();
    second.initialize({ model, signal: life.signal });
    second.render({ model, el, signal: life.signal });
    await frame();
    expectDrawn(new View(el, life), scene.entries, 1);
    expectDrawn(view, scene.entries, 1);
  });
});

test("a recording of a table is one of floats, at any place of its bytes", async () => {
  const row = new RowScene(["age", "rooms", "tax"]);
  const { type: _, ...begin } = row.begin("", 0).content;
  const bytes = (array: Float32Array<ArrayBuffer>) => new Uint8Array(array.buffer);
  const parts = [row.values, row.reference, ...row.maps].map(bytes);
  const {
    dtype: __,
    scales: ___,
    ...samples
  } = row.samples("", 0).content as unknown as Record<string, unknown>;
  const { _lut, _colormaps, _cards, _notice, ...traits } = defaults();
  const text = JSON.stringify({
    traits: { ...traits, clip: 100 },
    tables: { RdBu_r: base64(blueToRed()) },
    paths: [
      {
        begin: { ...begin, type: "begin" },
        // One byte that nobody reads moves all that follows.
        arrays: [1, 12, 12],
        samples: { ...samples, dtype: "f4", scales: row.maps.map(() => 1) },
        maps: row.maps.map(() => 12),
      },
    ],
    answers: [
      {
        path: 0,
        settings: wishes,
        plan: row.plan("", 0).content,
        end: { type: "done", evaluations: 4, elapsed: 0 },
      },
    ],
    data: await deflated([Uint8Array.of(7), ...parts]),
  });
  const written = await read(text);
  expect(written.kind).toBe("table");
  const [path] = written.paths;
  if (path === undefined) throw new Error("no path");
  const recording = { ...written, paths: [{ ...path, arrays: path.arrays.slice(1) }] };
  const model = new Replay(recording);
  const life = new AbortController();
  const el = document.createElement("div");
  document.body.append(el);
  onTestFinished(() => {
    life.abort();
    el.remove();
  });
  const widget = explorerOf(table)();
  widget.initialize({ model, signal: life.signal });
  widget.render({ model, el, signal: life.signal });
  await expect.poll(() => el.querySelectorAll('[role="option"]').length).toBe(3);
  const found = [...el.querySelectorAll('[role="option"]')].map(
    (one) => one.lastChild?.textContent,
  );
  expect(found).toEqual(row.names.map((_name, i) => signed(row.collected(i, 1))));
});
