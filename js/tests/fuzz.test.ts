import { describe, expect, test } from "vitest";
import { decode } from "../src/core/decode.js";
import { maps } from "./support/dependence.js";
import { expectDrawn, explained, scene } from "./support/explained.js";
import { explainedRow, row } from "./support/explained_row.js";
import { FakeModel, type Wire } from "./support/fake_model.js";
import { tell } from "./support/figure.js";
import { choose, frame, type View } from "./support/mount.js";
import { failed, random, Scene } from "./support/scene.js";

const COUNT = 10_000;

/** Of each message, and of a value beside it: none of them is good where a number, a text or a list is due. */
const HOSTILE: readonly unknown[] = [
  null,
  undefined,
  true,
  -1,
  0.5,
  1e308,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "x".repeat(10_000),
  "<img src=x onerror=alert(1)>",
  "\u202etxet",
  "\ud800",
  "__proto__",
  [],
  [[]],
  [null],
  {},
  { length: -1 },
  { kind: "ready" },
  JSON.parse('{"__proto__": {"kind": "ready"}}'),
  new DataView(new ArrayBuffer(3)),
  nested(1000),
];

function nested(depth: number): unknown {
  let found: unknown = [];
  for (let i = 0; i < depth; i++) found = [found];
  return found;
}

/** 1 if a view does not show what was drawn. */
function lost(view: View): number {
  try {
    expectDrawn(view, 1);
    return 0;
  } catch {
    return 1;
  }
}

type Chance = () => number;

function oneOf<T>(chance: Chance, values: readonly T[]): T {
  return values[Math.floor(chance() * values.length)] as T;
}

/** With something in it replaced, taken away, added or cut off, at any depth. */
function mutilated(value: unknown, chance: Chance): unknown {
  const isHolder = typeof value === "object" && value !== null && !(value instanceof DataView);
  const keys = isHolder ? Object.keys(value) : [];
  if (keys.length === 0 || chance() < 0.1) return oneOf(chance, HOSTILE);
  const key = oneOf(chance, keys);
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<
    string,
    unknown
  >;
  const kind = chance();
  if (kind < 0.15 && Array.isArray(copy)) copy.length = Number(key);
  else if (kind < 0.15) delete copy[key];
  else if (kind < 0.25) copy[oneOf(chance, ["toString", "type", "0"])] = copy[key];
  else copy[key] = mutilated(copy[key], chance);
  return copy;
}

function mutilatedBuffers(buffers: readonly DataView[], chance: Chance): DataView[] {
  const kind = chance();
  if (kind < 0.6) return [...buffers];
  if (kind < 0.7) return [];
  if (kind < 0.8) return [...buffers].reverse();
  if (kind < 0.9) return [...buffers, new DataView(new ArrayBuffer(7))];
  return buffers.map((buffer) => new DataView(buffer.buffer, 0, Math.floor(buffer.byteLength / 2)));
}

/** All that a kernel says, of the view, as answers to a request that is old by now. */
function said(view: string, request: number): Wire[] {
  const error = failed(view, request, "error", "The model raised.", "Look at it.");
  return [...scene.answer(view, request), error, maps(new Scene({ seed: 3 }), view, 1)];
}

describe("10,000 mutilated messages of a kernel", () => {
  test("are decoded, or refused with a reason", () => {
    const chance = random(1);
    let refused = 0;
    for (let i = 0; i < COUNT; i++) {
      const wire = oneOf(chance, said("v", 1));
      const content = mutilated(wire.content, chance);
      const decoded = decode(content, mutilatedBuffers(wire.buffers, chance));
      if (decoded.ok) continue;
      refused += 1;
      expect(decoded.reason).toMatch(/\S/);
    }
    expect(refused).toBeGreaterThan(COUNT / 2);
    expect(refused).toBeLessThan(COUNT);
  });

  test("leave the picture that was drawn, and the next good one is drawn", async ({ task }) => {
    const { host, model, view } = await explained();
    const chance = random(2);
    let [drawn, gone, thrown] = [0, 0, 0];
    for (let i = 0; i < COUNT; i++) {
      // Not for a file: each would be handed to the person.
      const wire = oneOf(chance, said(host.view, 1).slice(0, -1));
      const content = mutilated(wire.content, chance) as Wire["content"];
      const named = { ...(content as object), view: host.view } as Wire["content"];
      // What is whole after all answers the request that is drawn: it may say again what it said.
      if (decode(named, wire.buffers).ok) continue;
      try {
        model.receive({ content: named, buffers: wire.buffers });
      } catch {
        thrown += 1;
      }
      if (i % 1000 === 0) {
        await frame();
        gone += lost(view);
        model.receive(...scene.answer(host.view, 2 + i));
        await frame();
        expectDrawn(view, 1);
        expect(view.status.textContent).toMatch(/^idle · 4 evaluations/);
        drawn += 1;
      }
    }
    tell(task, "fuzzed messages to the front end, 10,000: pictures lost", gone, 0);
    tell(task, "fuzzed messages to the front end, 10,000: errors thrown", thrown, 0);
    expect([gone, thrown]).toEqual([0, 0]);
    expect(drawn).toBeGreaterThan(5);
  });
});

test("2,000 mutilated messages to a table leave what was drawn, and throw nothing", async () => {
  const { model, list, view } = await explainedRow();
  const before = list.textContent;
  const chance = random(4);
  const broken: unknown[] = [];
  const listen = (event: ErrorEvent) => broken.push(event.error);
  window.addEventListener("error", listen);
  for (let i = 0; i < 2000; i++) {
    const wire = oneOf(chance, row.answer(model.view, 1));
    const content = mutilated(wire.content, chance) as Wire["content"];
    const named = { ...(content as object), view: model.view } as Wire["content"];
    if (decode(named, wire.buffers).ok) continue;
    model.receive({ content: named, buffers: mutilatedBuffers(wire.buffers, chance) });
    if (i % 200 > 0) continue;
    await frame();
    expect(list.textContent).toBe(before);
    model.receive(...row.answer(model.view, 2 + i));
    await frame();
    expect(view.status.textContent).toMatch(/^idle · 4 evaluations/);
  }
  window.removeEventListener("error", listen);
  expect(broken).toEqual([]);
});

describe("values of traits that no kernel should send", () => {
  test("throw nothing, and leave the picture: 2,000 of them", async ({ task }) => {
    const { host, model, view } = await explained({
      _cards: [],
      _regions: [{ kind: "rectangle", box: [0, 0, 2, 2] }],
    });
    for (const summary of view.el.querySelectorAll("summary")) summary.click();
    const good = new FakeModel();
    const chance = random(3);
    const names = Object.keys(good.traits) as (keyof typeof good.traits)[];
    const broken: unknown[] = [];
    let gone = 0;
    const listen = (event: ErrorEvent) => broken.push(event.error);
    window.addEventListener("error", listen);
    for (let i = 0; i < 2000; i++) {
      const name = oneOf(chance, names);
      const value = mutilated(RICH[name] ?? good.get(name), chance);
      model.set(name, value as never);
      if (i % 100 === 0) {
        await frame();
        for (const each of names) model.set(each, good.get(each) as never);
        await frame();
        gone += lost(view);
      }
    }
    window.removeEventListener("error", listen);
    tell(task, "fuzzed traits of the front end, 2,000: pictures lost", gone, 0);
    tell(task, "fuzzed traits of the front end, 2,000: errors thrown", broken.length, 0);
    expect(broken).toEqual([]);
    expect(gone).toBe(0);
    // A person goes on.
    for (const each of names) model.set(each, good.get(each) as never);
    choose(view.slider("steps"), "8");
    model.receive(...scene.answer(host.view, 50_000, { n_steps: 8 }));
    await frame();
    expect(view.status.textContent).toMatch(/^idle/);
    expectDrawn(view, 1);
  });

  test("a view that starts with them is there, and is what the kernel says next", async () => {
    const good = new FakeModel();
    const chance = random(4);
    for (let i = 0; i < 20; i++) {
      const traits = Object.fromEntries(
        Object.keys(good.traits).map((name) => [name, oneOf(chance, HOSTILE)]),
      );
      const { model, view } = await explained(traits as never);
      for (const name of Object.keys(good.traits) as (keyof typeof good.traits)[])
        model.set(name, good.get(name) as never);
      await frame();
      expectDrawn(view, 1);
      view.close();
    }
  });
});

/** Values with everything in them, of traits that are empty at first. */
const RICH: Readonly<Record<string, unknown>> = {
  _panes: [{}, { baseline: "white", n_steps: 2 }],
  _regions: [
    { kind: "rectangle", box: [0, 0, 2, 2] },
    {
      kind: "polygon",
      points: [
        [0, 0],
        [3, 0],
        [0, 3],
      ],
    },
    { kind: "mask", runs: [3, 5, 27] },
  ],
  _audits: [
    {
      region: { kind: "rectangle", box: [0, 0, 2, 2] },
      sum: 1,
      share: 0.5,
      output: 9,
      without: 8,
      only: 1,
      baseline: -1,
    },
  ],
  _cards: [
    {
      name: "black",
      description: "black",
      output: 1,
      top: [["crane", 0.5]],
      entropy: [1, 2],
      neutral: true,
      parameters: [{ name: "sigma", value: 1, low: 0, high: 2, step: 0.5, unit: "px" }],
      thumbnail: new DataView(new ArrayBuffer(9)),
    },
  ],
  _curves: [{ method: "riemann_left", points: [[4, 0.5, null, 0.1]] }],
  _dependence: {
    kind: "ready",
    number: 1,
    asked: { target: 1, output: "logit", channel: "sum" },
    dependence: 0.5,
    coarse: 0.4,
    patch: 16,
    output: 9,
    rules: ["riemann_middle, 16"],
    rows: [{ name: "black", output: -1, sum: 10, share: 0.2 }],
  },
  _notice: { text: "so it is", number: 1 },
};
