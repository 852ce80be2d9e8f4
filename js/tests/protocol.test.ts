import { describe, expect, test } from "vitest";
import { decode, isFor } from "../src/core/decode.js";
import type { Sample } from "../src/core/protocol.js";
import { problemOf } from "../src/image/photo.js";
import { ready } from "./support/dependence.js";
import { Host } from "./support/mount.js";
import { Scene } from "./support/scene.js";

/** One example of a message; the Python tests read the same files. */
interface Fixture {
  readonly direction: "kernel->browser" | "browser->kernel";
  readonly valid: boolean;
  readonly message: Readonly<Record<string, unknown>>;
  readonly buffers: readonly string[];
}

const files = import.meta.glob<Fixture>("../../tests/fixtures/protocol/*.json", {
  eager: true,
  import: "default",
});
const fixtures = Object.entries(files).map(
  ([path, fixture]) => [path.replace(/.*\/|\.json$/g, ""), fixture] as const,
);
const fromKernel = fixtures.filter(([, { direction }]) => direction === "kernel->browser");
const toKernel = fixtures.filter(
  ([, { direction, valid }]) => direction === "browser->kernel" && valid,
);

function fixture(name: string): Fixture {
  const found = fixtures.find(([other]) => other === name)?.[1];
  if (found === undefined) throw new Error(`there is no fixture ${name}`);
  return found;
}

function binary({ buffers }: Fixture): DataView[] {
  return buffers.map((text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new DataView(bytes.buffer);
  });
}

/** What a fixture has, each map from a byte of a buffer that is larger than it. */
function samplesOf(name: string, offset: number): readonly Sample[] {
  const example = fixture(name);
  const views = binary(example).map((view) => {
    const larger = new Uint8Array(offset + view.byteLength + 5).fill(0xaa);
    larger.set(new Uint8Array(view.buffer), offset);
    return new DataView(larger.buffer, offset, view.byteLength);
  });
  const decoded = decode(example.message, views);
  if (!decoded.ok || decoded.message.type !== "samples") throw new Error("not samples");
  return decoded.message.samples;
}

test("there are fixtures of every kind", () => {
  const kinds = new Set(fixtures.filter(([, { valid }]) => valid).map(([, f]) => f.message.type));
  expect([...kinds].sort()).toEqual(
    [
      "ack",
      "beat",
      "begin",
      "cancel",
      "done",
      "failed",
      "leave",
      "maps",
      "plan",
      "request",
      "samples",
      "want",
    ].sort(),
  );
  expect(fromKernel.some(([, { valid }]) => !valid)).toBe(true);
});

describe("what the kernel sends", () => {
  test.each(fromKernel)("%s is understood, or refused with a reason", (_, example) => {
    const decoded = decode(example.message, binary(example));
    expect(decoded.ok).toBe(example.valid);
    if (!decoded.ok) expect(decoded.reason).toMatch(/\w/);
  });

  test("begin carries photo, baseline and the settings it answers", () => {
    const decoded = decode(fixture("begin").message, binary(fixture("begin")));
    if (!decoded.ok || decoded.message.type !== "begin") throw new Error("not a begin");
    const { message } = decoded;
    expect(message.settings).toEqual({
      input: "",
      baseline: "black",
      target: 285,
      method: "riemann_middle",
      n_steps: 2,
      output: "logit",
      tol: 0,
      channel: "sum",
    });
    expect(message.targetName).toBe("Egyptian cat");
    const { kind, shape, size, arrays } = message.display;
    expect([kind, shape, size]).toEqual(["image", [2, 3], 6]);
    const photo = Array.from({ length: 18 }, (_, i) => 10 * i);
    expect(arrays.photo).toEqual({ shape: [2, 3, 3], values: Uint8Array.from(photo) });
    expect(arrays.baseline).toEqual({ shape: [2, 3, 3], values: new Uint8Array(18) });
    expect(problemOf(message.display)).toBeUndefined();
  });

  test("begin carries whatever a display of another kind has", () => {
    const decoded = decode(
      fixture("begin_of_a_table").message,
      binary(fixture("begin_of_a_table")),
    );
    if (!decoded.ok || decoded.message.type !== "begin") throw new Error("not a begin");
    const { display, settings } = decoded.message;
    expect([settings.input, settings.target]).toEqual(["row 7", "price"]);
    expect([display.kind, display.shape, display.size]).toEqual(["table", [3], 3]);
    expect(display.meta).toEqual({ names: ["age", "rooms", "distance"] });
    expect([...(display.arrays.values?.values ?? [])]).toEqual([41.5, 3, -0.25]);
    expect(problemOf(display)).toMatch(/table/);
  });

  test.each([0, 1, 2, 3])("floats are read from byte %i of a larger buffer", (offset) => {
    const samples = samplesOf("samples_of_floats", offset);
    expect(samples.map(({ numbers }) => [...numbers])).toEqual([
      [0.5, -2, 0.125],
      [0, Math.fround(1e-3), 1e4],
    ]);
    expect(samples.map(({ scale }) => scale)).toEqual([1, 1]);
  });

  test.each([0, 1, 2, 3])("maps are read from byte %i of a larger buffer", (offset) => {
    const samples = samplesOf("samples", offset);
    expect(samples.map(({ numbers }) => [...numbers])).toEqual([
      [0, 100, -100, 32767, -32767, 5],
      [1, 2, 3, -4, -5, -6],
    ]);
    expect(samples.map(({ scale }) => scale)).toEqual([0.0001, 0.00025]);
  });

  test("a mean and a standard deviation come together, under a number", () => {
    const decoded = decode(fixture("maps").message, binary(fixture("maps")));
    if (!decoded.ok || decoded.message.type !== "maps") throw new Error("not maps");
    const { panel, number, size, maps } = decoded.message;
    expect([panel, number, size]).toEqual(["dependence", 2, 6]);
    expect(maps).toEqual({
      mean: { numbers: Int16Array.of(0, 100, -100, 32767, -32767, 5), scale: 0.0001 },
      standard_deviation: { numbers: Int16Array.of(0, 1, 2, 32767, 5, 6), scale: 0.00025 },
    });
  });

  test.each([null, 7, "begin", [], {}, { type: "begin" }, { type: 3, view: "v" }])(
    "nonsense (%j) is refused, not thrown",
    (content) => {
      expect(decode(content, []).ok).toBe(false);
    },
  );

  test("a message is for the view that it names, and no other", () => {
    expect(isFor("a", { view: "a" })).toBe(true);
    for (const content of [{ view: "b" }, {}, null, "a"]) expect(isFor("a", content)).toBe(false);
  });
});

test("what the browser sends has exactly the fields of the fixtures", async () => {
  const host = new Host();
  const { model, view } = host;
  const shown = host.render();
  const scene = new Scene();
  model.receive(scene.begin(view, 3), scene.samples(view, 3));
  await expect.poll(() => shown.cancel.disabled).toBe(false);
  shown.cancel.click();
  model.set("_dependence", ready(2));
  model.set("show_dependence", true);
  await expect.poll(() => model.all("request")).toHaveLength(1);
  shown.close();
  for (const [, { message }] of toKernel) {
    const sent = model.sent.find(({ type }) => type === message.type);
    expect(Object.keys(sent ?? {}).sort()).toEqual(Object.keys(message).sort());
  }
});
