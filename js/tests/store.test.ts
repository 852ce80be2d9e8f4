import { describe, expect, test } from "vitest";
import { Store } from "../src/core/store.js";
import { Traits } from "../src/core/traits.js";
import { image } from "../src/image/kind.js";
import { FakeModel, type Wire } from "./support/fake_model.js";
import { tell } from "./support/figure.js";
import { ASKED, failed, random, Scene } from "./support/scene.js";

function start(traits: ConstructorParameters<typeof FakeModel>[0] = {}, pane = 0) {
  const model = new FakeModel(traits);
  const life = new AbortController();
  const store = new Store(model, new Traits(model, image, life.signal), pane, life.signal);
  return { model, store, life, view: model.view };
}

const black = new Scene({ trace: 1, seed: 1 });
const white = new Scene({ trace: 2, seed: 2 });

function acks(model: FakeModel): number[] {
  return model.sent.flatMap((message) => (message.type === "ack" ? [message.count] : []));
}

function shuffled<T>(items: readonly T[], next: () => number): T[] {
  return items
    .map((item) => ({ item, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

describe("a view", () => {
  test("asks for everything as it starts, under an id of its own", () => {
    const ids = Array.from({ length: 20 }, () => start().view);
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });

  test("takes only what is sent to it", () => {
    const { model, store } = start();
    model.receive(...black.answer("another view", 1));
    expect(store.picture).toBeUndefined();
    expect(acks(model)).toEqual([]);
  });

  test("acknowledges every batch of samples with their number so far, also useless ones", () => {
    const { model, view } = start();
    const broken: Wire = { content: { type: "samples", view }, buffers: [] };
    model.receive(black.begin(view, 1), black.samples(view, 1, [0]), black.samples(view, 1, [1]));
    model.receive(white.samples(view, 1), broken);
    expect(acks(model)).toEqual([1, 2, 3, 4]);
  });

  test("lets go of the model when it ends", () => {
    const { model, store, life, view } = start();
    life.abort();
    expect(model.listenerCount).toBe(0);
    model.receive(...black.answer(view, 1));
    expect(store.picture).toBeUndefined();
  });
});

describe("the picture", () => {
  test("is what the plan makes of its samples", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    expect(store.isStale).toBe(false);
    const [level = 0, scale = 0] = [black.levels[2]?.[4], black.scales[2]];
    const { map } = store.picture ?? {};
    // Half way, the midpoint rule with 4 pieces has collected the first two whole.
    const third = (map?.valueAt(4, 0.75) ?? 0) - (map?.valueAt(4, 0.5) ?? 0);
    expect(third).toBeCloseTo((level * scale) / 4, 12);
  });

  test("needs no sample twice: a new rule is a new plan of those that are there", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    model.set("method", "riemann_left");
    expect(store.isStale).toBe(true);
    const entries = [
      [0, 0.5, 0, 0.5],
      [3, 0.5, 0.5, 1],
    ];
    model.receive(black.begin(view, 2, { method: "riemann_left" }));
    model.receive(black.plan(view, 2, { entries }));
    expect(store.isStale).toBe(false);
    expect(store.picture?.map.layers).toBe(2);
  });

  test("stays, as stale, until the first plan of a new path can be drawn", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    const { picture } = store;
    model.set("baseline", "white");
    model.receive(white.begin(view, 2, { baseline: "white" }));
    model.receive(white.samples(view, 2, [0]));
    expect(store.picture).toBe(picture);
    expect(store.isStale).toBe(true);
    model.receive(white.plan(view, 2, { entries: [[0, 1, 0, 1]] }));
    expect(store.picture?.begin.trace).toBe(2);
    expect(store.isStale).toBe(false);
  });

  test("appears when the traits that it answers arrive after it", () => {
    const { model, store, view } = start();
    model.receive(...white.answer(view, 1, { baseline: "white" }));
    expect(store.picture).toBeUndefined();
    expect(store.run.kind).toBe("requested");
    model.set("baseline", "white");
    expect(store.picture?.begin.trace).toBe(2);
    expect(store.run.kind).toBe("idle");
  });

  test("is fresh again when the wish returns to what it answers", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    model.set("baseline", "white");
    model.set("baseline", "black");
    expect(store.isStale).toBe(false);
    expect(store.run.kind).toBe("idle");
  });

  test("keeps its samples while another path is begun and given up", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    model.receive(white.begin(view, 2, { baseline: "white" }), failed(view, 2, "cancelled"));
    model.receive(black.begin(view, 3), black.plan(view, 3));
    expect(store.picture?.plan.request).toBe(3);
  });

  test("is not drawn by a plan whose request has not begun", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1), black.plan(view, 2));
    expect(store.picture?.plan.request).toBe(1);
  });

  test("samples of an older wish on the same path are as good for the newer", () => {
    const { model, store, view } = start();
    model.receive(black.begin(view, 1), black.samples(view, 1, [0, 1]));
    model.set("n_steps", 8);
    model.receive(black.begin(view, 2, { n_steps: 8 }), black.samples(view, 1, [2, 3]));
    model.receive(black.plan(view, 2));
    expect(store.picture?.map.layers).toBe(4);
  });

  test("never answers an older wish, however two requests are mixed", ({ task }) => {
    let older = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { model, store, view } = start({ baseline: "white" });
      const next = random(seed);
      const first = black.answer(view, 1);
      const second = white.answer(view, 2, { baseline: "white" });
      // Each request's messages keep their order, as on a wire; how the two interleave is chance.
      const turns = shuffled([...first.map(() => 0), ...second.map(() => 1)], next);
      for (const turn of turns) {
        const message = (turn === 0 ? first : second).shift();
        if (message !== undefined) model.receive(message);
        if (store.picture?.begin.trace === 1) older += 1;
      }
      expect(store.picture?.begin.trace).toBe(2);
      expect(store.run.kind).toBe("idle");
    }
    tell(task, "replies to two requests, mixed in 100 ways: pictures of the older", older, 0);
    expect(older).toBe(0);
  });

  test("never answers an older wish, even if messages arrive in any order at all", ({ task }) => {
    let [drawn, older] = [0, 0];
    for (let seed = 0; seed < 100; seed++) {
      const { model, store, view } = start({ baseline: "white" });
      const all = [...black.answer(view, 1), ...white.answer(view, 2, { baseline: "white" })];
      for (const message of shuffled(all, random(seed))) {
        model.receive(message);
        if (store.picture === undefined) continue;
        if (store.picture.begin.trace === 1) older += 1;
        else expect(store.picture.begin.settings).toEqual({ ...ASKED, baseline: "white" });
        drawn += 1;
      }
    }
    tell(task, "replies in any order, 100 shuffles: pictures of an older wish", older, 0);
    expect(older).toBe(0);
    expect(drawn).toBeGreaterThan(0);
  });
});

describe("the run", () => {
  test("goes from idle over asked and computing to idle", () => {
    const { model, store, view } = start();
    expect(store.run).toEqual({ kind: "idle", evaluations: null, elapsed: 0 });
    model.set("baseline", "white");
    model.receive(black.begin(view, 1));
    expect(store.run.kind).toBe("requested");
    model.receive(white.begin(view, 2, { baseline: "white" }));
    expect(store.run).toEqual({ kind: "computing", request: 2, done: 0, total: 4 });
    model.receive(white.samples(view, 2), white.plan(view, 2, { evaluations: 3, final: false }));
    expect(store.run).toEqual({ kind: "computing", request: 2, done: 3, total: 4 });
    model.receive(white.done(view, 2));
    expect(store.run).toEqual({ kind: "idle", evaluations: 4, elapsed: 1.9 });
  });

  test("cancel names the request that is computed, and is nothing otherwise", () => {
    const { model, store, view } = start();
    store.cancel();
    expect(model.sent).toHaveLength(1);
    model.receive(black.begin(view, 5));
    store.cancel();
    expect(model.sent.at(-1)).toEqual({ type: "cancel", view, request: 5 });
    model.receive(failed(view, 5, "cancelled"));
    expect(store.run.kind).toBe("cancelled");
  });

  test("a failure is shown, also one before the beginning, until something else is asked", () => {
    const { model, store, view } = start();
    model.receive(...black.answer(view, 1));
    model.receive(failed(view, 2, "error", "Target 9999 is out of range.", "Use 0 to 3."));
    expect(store.run).toEqual({
      kind: "failed",
      message: "Target 9999 is out of range.",
      hint: "Use 0 to 3.",
    });
    model.set("target", 2);
    expect(store.run.kind).toBe("requested");
  });

  test("what an older request has to say of its end is not listened to", () => {
    const { model, store, view } = start();
    model.receive(black.begin(view, 2), failed(view, 1, "cancelled"), black.done(view, 1));
    expect(store.run.kind).toBe("computing");
  });

  test.each([
    ["a plan of samples that never came", black.plan("", 1, { entries: [[9, 1, 0, 1]] })],
    ["a plan with a gap", black.plan("", 1, { entries: [[0, 1, 0, 0.5]] })],
    ["maps of another size", new Scene({ width: 3 }).samples("", 1)],
    ["an unknown type", { content: { type: "hello" as never, view: "" }, buffers: [] }],
  ])("%s is a failure in words, and stays one", (_, { content, buffers }: Wire) => {
    const { model, store, view } = start();
    model.receive(black.begin(view, 1), black.samples(view, 1, [0]));
    model.receive({ content: { ...content, view }, buffers }, black.done(view, 1));
    expect(store.run.kind).toBe("failed");
  });
});
