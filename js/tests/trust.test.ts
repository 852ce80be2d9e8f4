import { expect, test } from "vitest";
import { TrustMark } from "../src/controls/trust_mark.js";
import { TRUST_STATES, type Trust } from "../src/core/protocol.js";
import { inWords, progressOf, type Run } from "../src/core/run.js";
import type { Picture } from "../src/core/store.js";
import { explained, scene } from "./support/explained.js";
import { frame } from "./support/mount.js";
import { pictureOf } from "./support/pixels.js";
import { failed } from "./support/scene.js";

const idle: Run = { kind: "idle", evaluations: 4, cached: 0, elapsed: 1 };
const computing = {
  kind: "computing",
  request: 1,
  done: 96,
  total: 1024,
  cached: 0,
  tol: 0.05,
  error: 0.12,
  stopping: false,
} as const;

function shown(trust: Trust | null, run: Run = idle) {
  const { map } = pictureOf(scene);
  const mark = new TrustMark();
  mark.show({ plan: { trust }, map } as unknown as Picture, run);
  const outline = mark.element.querySelector("path")?.getAttribute("d");
  const { state } = mark.element.dataset;
  return { state, outline, text: mark.element.textContent, title: mark.element.title };
}

test("states differ by shape and by word, and each says why", () => {
  const marks = TRUST_STATES.map((state) => shown({ state, why: "because." }));
  expect(new Set(marks.map(({ outline }) => outline)).size).toBe(3);
  expect(marks.map(({ state }) => state)).toEqual([...TRUST_STATES]);
  for (const { text, title } of marks) {
    expect(text).toContain("because.");
    expect(title).toContain("because.");
  }
});

test.each([
  ["while samples come", computing],
  ["after a cancelled run", { kind: "cancelled", evaluations: 3 }],
] as const)("a map of which nothing is known is rough %s", (_, run) => {
  expect(shown(null, run).state).toBe("rough");
});

test("a view shows the mark of the plan, and takes markup in it for text", async () => {
  const { host, view } = await explained();
  const mark = () => view.el.querySelector<HTMLElement>(".igw-strip .igw-trust");
  expect(mark()?.dataset.state).toBe("rough");
  const trust = { state: "not to be used", why: "<img src=x>its sum misses by 199%." };
  host.model.receive(scene.begin(host.view, 2), scene.plan(host.view, 2, { trust }));
  await frame();
  expect(mark()?.dataset.state).toBe("not to be used");
  expect(mark()?.textContent).toContain("<img src=x>");
  expect(mark()?.querySelector("img")).toBeNull();
});

test("a run to a tolerance tells its error so far and where it is going", () => {
  expect(inWords(computing)).toBe("computing · error about 12%, to 5%; 96 evaluations");
  expect(inWords({ ...computing, error: null, done: 1 })).toBe("computing · to 5%; 1 evaluation");
});

test("its bar is on a logarithmic scale from 100% to the tolerance", () => {
  const at = (error: number | null) => progressOf({ ...computing, error });
  expect([at(null), at(2), at(1), at(0.05), at(0.01)]).toEqual([0, 0, 0, 1, 1]);
  expect(at(Math.sqrt(0.05))).toBeCloseTo(0.5, 9);
});

test("what was at hand is told, and counts as done", async () => {
  const steps = { ...computing, tol: 0, error: null, total: 64, done: 52, cached: 48 };
  expect(inWords(steps)).toBe("computing 52 of 64, 48 cached");
  expect(inWords({ ...idle, evaluations: 64, cached: 48 })).toBe(
    "idle · 64 evaluations, 48 cached, in 1.0 s",
  );
  const { host, view } = await explained();
  host.model.receive(scene.begin(host.view, 2), failed(host.view, 2, "cancelled"));
  await frame();
  expect(view.el.querySelector(".igw-status")?.textContent).toMatch(/^cancelled/);
});
