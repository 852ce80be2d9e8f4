import { describe, expect, test } from "vitest";
import { image } from "../src/image/kind.js";
import "../src/explorers/table.css";
import { problemOf } from "../src/table/row.js";
import { signed, significant } from "../src/util/format.js";
import { explainedRow, NAMES, row as scene } from "./support/explained_row.js";
import { choose, frame } from "./support/mount.js";
import { wantOf } from "./support/panes.js";
import { understood } from "./support/pixels.js";
import { failed } from "./support/scene.js";

const lines = (list: Element) => [...list.querySelectorAll<HTMLElement>('[role="option"]')];
const bars = (list: Element) => [...list.querySelectorAll<HTMLElement>(".igw-signed")];

describe("bars of a row's features", () => {
  test.each([0, 0.3, 0.75, 1])(
    "are as long as what is attributed up to alpha %d",
    async (alpha) => {
      const { list } = await explainedRow({ alpha });
      const largest = Math.max(...NAMES.map((_, i) => Math.abs(scene.collected(i, 1))));
      lines(list).forEach((line, i) => {
        const value = scene.collected(i, alpha);
        const bar = bars(list)[i] as HTMLElement;
        expect(Number.parseFloat(bar.style.width)).toBeCloseTo((50 * Math.abs(value)) / largest, 3);
        const left = 50 + (50 * Math.min(value, 0)) / largest;
        expect(Number.parseFloat(bar.style.left)).toBeCloseTo(left, 3);
        expect(line.textContent).toContain(signed(value));
        const at = (scene.values[i] ?? 0) * alpha + (scene.reference[i] ?? 0) * (1 - alpha);
        expect(line.children[1]?.textContent).toBe(significant(at));
      });
    },
  );

  test("have the colours of the colour map, and none where the sign is filtered", async () => {
    const { model, list } = await explainedRow();
    const signs = NAMES.map((_, i) => Math.sign(scene.collected(i, 1)));
    expect(new Set(signs)).toEqual(new Set([1, -1]));
    bars(list).forEach((bar, i) => {
      const [red = 0, , blue = 0] = (bar.style.background.match(/\d+/g) ?? []).map(Number);
      expect(Math.sign(red - blue)).toBe(signs[i]);
    });
    model.set("sign", "positive");
    await frame();
    bars(list).forEach((bar, i) => {
      expect(bar.style.width === "0%").toBe(signs[i] === -1);
    });
  });

  test("that end at the scale are marked", async () => {
    const { list } = await explainedRow({ clip: 50 });
    const clipped = bars(list).filter((bar) => bar.matches("[data-clipped]"));
    expect(clipped).toHaveLength(2);
    for (const bar of clipped) expect(bar.style.width).toBe("50%");
  });

  test("names of users are text", async () => {
    const { list } = await explainedRow();
    expect(list.querySelector("b")).toBeNull();
    expect(lines(list)[1]?.firstElementChild?.textContent).toBe("<b>rooms</b>");
    expect(lines(list)[1]?.title).toContain("<b>rooms</b>: value 20.0, attribution ");
  });
});

describe("a feature is read", () => {
  test("by keys", async () => {
    const { el, list } = await explainedRow();
    const readout = el.querySelector(".igw-readout");
    const press = async (key: string) => {
      list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      await frame();
      return lines(list).findIndex((line) => line.matches("[aria-selected]"));
    };
    expect(await press("ArrowDown")).toBe(0);
    expect(list.getAttribute("aria-activedescendant")).toBe(lines(list)[0]?.id);
    expect(readout?.textContent).toMatch(/^age, from 6.00 to 10.0: [+−]/);
    expect([await press("End"), await press("ArrowDown"), await press("Home")]).toEqual([3, 3, 0]);
    expect([await press("ArrowUp"), await press("ArrowDown"), await press("Escape")]).toEqual([
      0, 1, -1,
    ]);
    expect(readout?.textContent).toMatch(/arrow keys/);
    expect(list.hasAttribute("aria-activedescendant")).toBe(false);
  });

  test("by pointer, in every pane at once", async () => {
    const { model, el, list } = await explainedRow({ _panes: [{}, { baseline: "white" }] });
    model.receive(...scene.answer(wantOf(model, 1), 1, { baseline: "white" }));
    await frame();
    const [, other, difference] = el.querySelectorAll<HTMLElement>(".igw-feature-list");
    if (other === undefined || difference === undefined) throw new Error("no second pane");
    lines(list)[2]?.dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
    await frame();
    expect(lines(other)[2]?.matches("[aria-selected]")).toBe(true);
    // Both panes have the same samples.
    expect(difference.getAttribute("aria-label")).toMatch(/0\.0% of the first/);
    expect(bars(difference).every((bar) => bar.style.width === "0%")).toBe(true);
    list.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
    await frame();
    expect(lines(other).some((line) => line.matches("[aria-selected]"))).toBe(false);
  });
});

describe("what is shared", () => {
  test("speaks of features, and has nothing of photos", async () => {
    const { el, view } = await explainedRow();
    const { text } = view;
    expect(text).toContain("of features");
    expect(text).toContain("logit per feature");
    expect(text).not.toMatch(/pixel|photo|image|opacity/);
    expect(el.querySelector("canvas:not(.igw-gradient)")).toBeNull();
    expect(view.status.textContent).toBe("idle · 4 evaluations in 1.9 s");
    expect(view.image("path chart").getAttribute("aria-label")).toContain("F goes");
    expect(view.image("histogram").getAttribute("aria-label")).toContain("4 attribution values");
  });

  test("steers by the same traits", async () => {
    const { model, list, view } = await explainedRow();
    choose(view.slider("alpha"), "0.5");
    await frame();
    expect(model.traits.alpha).toBe(0.5);
    expect(list.getAttribute("aria-label")).toContain("alpha 0.50");
    choose(view.list("rule"), "riemann_left");
    expect(model.traits.method).toBe("riemann_left");
    model.receive(failed(model.view, 2, "error", "The model raised.", "Look at it."));
    await frame();
    expect(view.status.textContent).toContain("The model raised.");
  });

  test("hides what has nothing to choose, as of a model with one number", async () => {
    const { view } = await explainedRow({
      target: 0,
      _labels: [],
      _n_classes: 0,
      _top: [],
      _channels: [],
    });
    for (const name of ["target", "channel"]) expect(view.list(name).checkVisibility()).toBe(false);
    expect(view.list("rule").checkVisibility()).toBe(true);
  });
});

describe("a display that is no table", () => {
  const { display } = understood(scene.begin("v", 1), "begin");

  test.each([
    ["another kind", { ...display, kind: "text" }],
    ["two dimensions", { ...display, shape: [2, 2] }],
    ["a name too few", { ...display, meta: { names: ["age"] } }],
    ["names that are no texts", { ...display, meta: { names: [1, 2, 3, 4] } }],
    ["no baseline", { ...display, arrays: { values: display.arrays.values } }],
    [
      "bytes",
      {
        ...display,
        arrays: { ...display.arrays, values: { shape: [4], values: new Uint8Array(4) } },
      },
    ],
  ] as const)("%s is refused in words", (_, wrong) => {
    expect(problemOf(display)).toBeUndefined();
    expect(problemOf(wrong as never)).toMatch(/^a /);
    expect(image.problemOf(display)).toMatch(/^a table/);
  });

  test("nothing is drawn of it, and what was drawn stays", async () => {
    const { model, list, view } = await explainedRow();
    const before = list.textContent;
    const { content, buffers } = scene.begin(model.view, 2, { baseline: "white" });
    model.set("baseline", "white");
    model.receive({
      content: {
        ...content,
        display: { ...Reflect.get(content, "display"), kind: "text" },
      } as never,
      buffers,
    });
    await frame();
    expect(view.status.textContent).toContain("not understood");
    expect(list.textContent).toBe(before);
  });
});
