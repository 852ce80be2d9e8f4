import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { inWords } from "../src/core/run.js";
import { Store } from "../src/core/store.js";
import { Traits } from "../src/core/traits.js";
import { image } from "../src/image/kind.js";
import { FakeModel, type Wire } from "./support/fake_model.js";
import { Host } from "./support/mount.js";
import { Scene } from "./support/scene.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const black = new Scene({ trace: 1, seed: 1 });

function start(model = new FakeModel()) {
  const life = new AbortController();
  const store = new Store(model, new Traits(model, image, life.signal), 0, life.signal);
  return { model, store, life };
}

function beat(view: string, request: number): Wire {
  return { content: { type: "beat" as const, view, request } as Wire["content"], buffers: [] };
}

describe("a kernel that computes", () => {
  test("is at work as long as it beats, however long a pass takes", () => {
    const { model, store } = start();
    model.receive(black.begin(store.view, 1));
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(1000);
      model.receive(beat(store.view, 1));
      expect(store.run.kind).toBe("computing");
    }
  });

  test("is said to be silent within two seconds after its last word, and for how long", () => {
    const { model, store, life } = start();
    const told = vi.fn();
    store.subscribe(told, life.signal);
    model.receive(black.begin(store.view, 1));
    vi.advanceTimersByTime(1500);
    expect(store.run.kind).toBe("computing");
    told.mockClear();
    vi.advanceTimersByTime(600);
    expect(told).toHaveBeenCalled();
    expect(inWords(store.run)).toMatch(/^waiting · no answer for \d s: .* busy, or gone/);
    vi.advanceTimersByTime(20_000);
    expect(inWords(store.run)).toMatch(/no answer for 2\d s/);
  });

  test("is asked once more, by another name, so that what was lost comes again", () => {
    const { model, store } = start();
    const before = store.view;
    model.receive(black.begin(before, 1), black.samples(before, 1, [0, 1]));
    vi.advanceTimersByTime(10_000);
    expect(store.view).not.toBe(before);
    expect(model.all("leave")).toEqual([{ type: "leave", view: before }]);
    expect(model.all("want").map(({ view }) => view)).toEqual([before, store.view]);
    // What was on its way is no longer for it; what it is told anew is drawn.
    model.receive(black.samples(before, 1, [2]));
    expect(store.run.kind).toBe("silent");
    model.receive(...black.answer(store.view, 1));
    expect(store.run.kind).toBe("idle");
    expect(store.isStale).toBe(false);
    expect(model.all("ack").at(-1)).toEqual({ type: "ack", view: store.view, count: 1 });
  });

  test("has nothing to say when all is answered", () => {
    const { model, store } = start();
    model.receive(...black.answer(store.view, 1));
    vi.advanceTimersByTime(60_000);
    expect(store.run.kind).toBe("idle");
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("a kernel that never answers is said to be silent, whether nothing or another wish was asked", () => {
  const { model, store } = start();
  vi.advanceTimersByTime(2100);
  expect(store.run.kind).toBe("silent");
  model.receive(...black.answer(store.view, 1));
  expect(store.run.kind).toBe("idle");
  model.set("baseline", "white");
  expect(store.run.kind).toBe("requested");
  vi.advanceTimersByTime(2100);
  expect(store.run.kind).toBe("silent");
  // It may be busy with a cell: it was asked, and will answer. What never answered may not have heard.
  expect(model.all("want")).toHaveLength(2);
});

test("a page that was asleep takes nothing for silence", () => {
  const { model, store } = start();
  model.receive(black.begin(store.view, 1));
  // Timers stand still meanwhile.
  const now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now + 3_600_000);
  vi.advanceTimersByTime(300);
  expect(store.run.kind).toBe("computing");
});

describe("a kernel that is gone", () => {
  test("is said to be, also when idle, and the picture stays", () => {
    const { model, store, life } = start();
    model.receive(...black.answer(store.view, 1));
    const told = vi.fn();
    store.subscribe(told, life.signal);
    model.disconnect();
    expect(told).toHaveBeenCalled();
    expect(inWords(store.run)).toMatch(/^disconnected: the kernel was restarted or has died/);
    expect(store.isStale).toBe(false);
    expect(store.picture).toBeDefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("is found out by what cannot be sent, and nothing is thrown", () => {
    const { model, store } = start();
    model.receive(...black.answer(store.view, 1));
    vi.spyOn(model, "send").mockImplementation(() => {
      throw new Error("Cannot send");
    });
    store.send({ type: "leave", view: store.view });
    expect(store.run.kind).toBe("gone");
  });
});

describe("what is shown", () => {
  test("the kernel is told when the last view is gone, and asked again when there is one", () => {
    const host = new Host();
    const [one, other] = [host.render(), host.render()];
    const { model } = host;
    one.close();
    expect(model.all("leave")).toEqual([]);
    other.close();
    expect(model.all("leave")).toEqual([{ type: "leave", view: host.view }]);
    expect(model.all("want")).toHaveLength(1);
    host.render();
    const [first, second] = model.all("want");
    expect(second?.view).not.toBe(first?.view);
    expect(second?.pane).toBe(0);
  });

  test("what was left in mid-run is not asked for, however long it is silent", () => {
    const host = new Host();
    const view = host.render();
    host.model.receive(black.begin(host.view, 1), black.samples(host.view, 1, [0]));
    view.close();
    vi.advanceTimersByTime(60_000);
    expect(host.model.all("want")).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("each pane leaves", () => {
    const host = new Host({ _panes: [{}, { baseline: "white" }] });
    const view = host.render();
    view.close();
    const wanted = host.model.all("want").map(({ view }) => view);
    expect(wanted).toHaveLength(2);
    expect(host.model.all("leave").map(({ view }) => view)).toEqual(wanted);
  });
});
