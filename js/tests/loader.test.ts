import { afterEach, expect, test, vi } from "vitest";
import loader from "../src/explorers/loader.js";
import { FakeModel } from "./support/fake_model.js";

const TEXT = `
  globalThis.igwImported = (globalThis.igwImported ?? 0) + 1;
  export default () => {
    const name = "made " + (globalThis.igwMade = (globalThis.igwMade ?? 0) + 1);
    return {
      initialize: ({ model, signal }) => {
        globalThis.igwLife = [model, signal];
        return () => { globalThis.igwEnded = 1; };
      },
      render: ({ el }) => { el.textContent = name; return () => {}; },
    };
  };`;

function model(text: string, hash: string) {
  const front = { _front: text, _front_hash: hash };
  const get = (name: keyof typeof front) => front[name];
  return Object.assign(new FakeModel(), { get }) as never;
}

function counted(name: "igwImported" | "igwMade" | "igwEnded"): number {
  return Reflect.get(globalThis, name) ?? 0;
}

afterEach(() => {
  for (const name of ["igwImported", "igwMade", "igwLife", "igwEnded"])
    Reflect.deleteProperty(globalThis, name);
});

async function show(text: string, hash: string): Promise<string> {
  const { signal } = new AbortController();
  const widget = loader();
  const own = model(text, hash);
  widget.initialize({ model: own, signal });
  const el = document.createElement("div");
  await widget.render({ model: own, el, signal });
  expect(Reflect.get(globalThis, "igwLife")).toEqual([own, signal]);
  return el.innerText;
}

test("a page imports one front end for all models, each of which makes its own of it", async () => {
  const [one, other] = [await show(TEXT, "a"), await show(TEXT, "a")];
  expect(counted("igwImported")).toBe(1);
  expect([one, other]).toEqual(["made 1", "made 2"]);
  await show(TEXT, "b");
  expect(counted("igwImported")).toBe(2);
});

test("a front end that cannot be imported is tried again, and no address is left", async () => {
  const revoke = vi.spyOn(URL, "revokeObjectURL");
  await expect(show("nonsense(", "c")).rejects.toThrow();
  expect(await show(TEXT, "c")).toBe("made 1");
  expect(revoke).toHaveBeenCalledTimes(2);
});

test("hosts give a model two seconds: nothing is waited for before it is there", async () => {
  const { signal } = new AbortController();
  const widget = loader();
  const own = model(TEXT, "slow");
  expect(widget.initialize({ model: own, signal })).toBeTypeOf("function");
  const el = document.createElement("div");
  await widget.render({ model: own, el, signal });
  expect(el.innerText).toBe("made 1");
});

test("what is over before it was imported neither begins nor is shown", async () => {
  for (const life of [new AbortController(), undefined]) {
    const own = model(`${TEXT}// ${life}`, `over ${life}`);
    const signal = life === undefined ? {} : { signal: life.signal };
    const widget = loader();
    const end = widget.initialize({ model: own, ...signal });
    const el = document.createElement("div");
    const shown = widget.render({ model: own, el, ...signal });
    life?.abort();
    end();
    await shown;
    expect(el.innerText).toBe(life === undefined ? "made 2" : "");
    expect(Reflect.has(globalThis, "igwLife")).toBe(life === undefined);
    // Hosts without a signal call what was returned.
    expect(counted("igwEnded")).toBe(life === undefined ? 1 : 0);
  }
});

test("render before initialize is told as such", async () => {
  const { signal } = new AbortController();
  const el = document.createElement("div");
  await expect(loader().render({ model: model(TEXT, "d"), el, signal })).rejects.toThrow(
    "before initialize",
  );
});
