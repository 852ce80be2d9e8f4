import { describe, expect, test } from "vitest";
import { userEvent } from "vitest/browser";
import { explained, scene } from "./support/explained.js";
import { frame, Host, type View } from "./support/mount.js";
import { Scene } from "./support/scene.js";

const PICK = "pick a colour from the image";

/** Of a pixel of the photo, as a baseline is asked for. */
function colour(column: number, row: number): string {
  const at = 3 * (row * scene.width + column);
  const levels = [...scene.photo.subarray(at, at + 3)];
  return `colour(#${levels.map((level) => level.toString(16).padStart(2, "0")).join("")})`;
}

/** Where the middle of a pixel is, as a person points at it. */
function at(view: View, column: number, row: number) {
  const { width, height } = view.overlay.getBoundingClientRect();
  return { x: ((column + 0.5) / 7) * width, y: ((row + 0.5) / 5) * height };
}

const click = (view: View, column: number, row: number) =>
  userEvent.click(view.overlay, { position: at(view, column, row) });

const drag = (view: View, from: readonly [number, number], to: readonly [number, number]) =>
  userEvent.dragAndDrop(view.overlay, view.overlay, {
    sourcePosition: at(view, ...from),
    targetPosition: at(view, ...to),
  });

describe("picking a colour", () => {
  test("the next click on the attribution takes that of its pixel, and is the only one to", async () => {
    const { model, view } = await explained();
    await click(view, 1, 1);
    expect(model.get("baseline")).toBe("black");
    view.button(PICK).click();
    await click(view, 5, 3);
    expect(model.get("baseline")).toBe(colour(5, 3));
    expect(model.saved.at(-1)?.baseline).toBe(colour(5, 3));
    await click(view, 2, 0);
    expect(model.get("baseline")).toBe(colour(5, 3));
    view.button(PICK).click();
    await click(view, 2, 0);
    expect(model.get("baseline")).toBe(colour(2, 0));
  });

  test("the button takes the focus to the picture, and Enter takes the pixel at the cross-hair", async () => {
    const { model, view } = await explained();
    view.button(PICK).click();
    expect(document.activeElement).toBe(view.overlay);
    await userEvent.keyboard("{ArrowLeft}{ArrowUp}{Enter}");
    expect(model.get("baseline")).toBe(colour(2, 1));
    // And begins no region.
    await frame();
    expect(view.text).not.toContain("First corner");
    await userEvent.keyboard("{ArrowRight}{Enter}");
    expect(model.get("baseline")).toBe(colour(2, 1));
    await frame();
    expect(view.text).toContain("First corner at (3, 1)");
  });

  test("Enter with no cross-hair takes nothing and begins nothing", async () => {
    const { model, view } = await explained();
    view.button(PICK).click();
    await userEvent.keyboard("{Enter}");
    await frame();
    expect(view.text).not.toContain("First corner");
    expect(model.get("baseline")).toBe("black");
    await userEvent.keyboard("{ArrowDown}{Enter}");
    expect(model.get("baseline")).toBe(colour(3, 3));
  });

  test("Escape gives up", async () => {
    const { model, view } = await explained();
    view.button(PICK).click();
    await userEvent.keyboard("{ArrowLeft}{Escape}");
    await click(view, 5, 3);
    expect(model.get("baseline")).toBe("black");
  });

  test("the button pressed twice picks one colour, and one Escape gives it up", async () => {
    const { model, view } = await explained();
    view.button(PICK).click();
    view.button(PICK).click();
    await click(view, 5, 3);
    await click(view, 1, 1);
    expect(model.get("baseline")).toBe(colour(5, 3));
    view.button(PICK).click();
    view.button(PICK).click();
    await userEvent.keyboard("{Escape}");
    await click(view, 1, 1);
    expect(model.get("baseline")).toBe(colour(5, 3));
  });

  test("draws no region meanwhile, and does again afterwards", async () => {
    const { model, view } = await explained();
    view.button("rectangle").click();
    view.button(PICK).click();
    await drag(view, [1, 1], [4, 3]);
    expect(model.get("_regions")).toEqual([]);
    await userEvent.keyboard("{Escape}");
    await drag(view, [1, 1], [4, 3]);
    expect(model.get("_regions")).toEqual([{ kind: "rectangle", box: [1, 1, 5, 4] }]);
  });

  test("ends with the view, and does nothing where there is no picture", async () => {
    const host = new Host();
    const empty = host.render();
    empty.button(PICK).click();
    await click(empty, 1, 1);
    expect(host.model.get("baseline")).toBe("black");
    empty.close();
    const { model, view } = await explained();
    view.button(PICK).click();
    const { overlay } = view;
    view.close();
    overlay.click();
    expect(model.get("baseline")).toBe("black");
  });
});

describe("pixels equal to the baseline", () => {
  const hatch = (view: View) => {
    const label = [...view.el.querySelectorAll("label")].find(({ textContent }) =>
      textContent?.startsWith("hatch pixels equal to the baseline"),
    );
    return { box: label?.querySelector("input") as HTMLInputElement, label };
  };

  /** An explorer of a scene in which photo and baseline agree at those pixels. */
  async function agreeing(pixels: readonly number[], more = {}) {
    const one = new Scene({ width: 12, height: 9, ...more });
    for (let i = 0; i < one.photo.length; i++)
      one.baseline[i] = ((one.photo[i] as number) + (i % 3 === 2 ? 1 : 0)) % 256;
    for (const pixel of pixels)
      one.baseline.set(one.photo.subarray(3 * pixel, 3 * pixel + 3), 3 * pixel);
    const host = new Host();
    const view = host.render();
    host.model.receive(...one.answer(host.view, 1));
    await frame();
    return { host, view, scene: one };
  }

  /** The pixels that have a stripe on them. */
  function striped(view: View): number[] {
    const canvas = [...view.overlay.querySelectorAll("canvas")].at(-1) as HTMLCanvasElement;
    const context = canvas.getContext("2d");
    const { data } = context?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
    return [...data].flatMap((value, i) => (i % 4 === 3 && value > 0 ? [(i - 3) / 4] : []));
  }

  test("is hatched on demand, where photo and baseline agree and nowhere else", async () => {
    const same = Array.from({ length: 60 }, (_, i) => i + 20);
    const { view } = await agreeing(same);
    expect(view.overlay.querySelectorAll("canvas")).toHaveLength(1);
    hatch(view).box.click();
    await frame();
    expect(view.overlay.querySelectorAll("canvas")).toHaveLength(2);
    const drawn = striped(view);
    expect(drawn.length).toBeGreaterThan(same.length / 6);
    expect(drawn.filter((pixel) => !same.includes(pixel))).toEqual([]);
    // Stripes, not an area: one sees the picture between them.
    expect(drawn.length).toBeLessThan(same.length / 2);
    expect(hatch(view).label?.innerText).toContain("(55.6%)");
    hatch(view).box.click();
    await frame();
    expect(view.overlay.querySelectorAll("canvas")).toHaveLength(1);
    expect(hatch(view).label?.innerText).not.toContain("%");
  });

  test.each([
    ["none", [], "(0.0%)"],
    ["all", Array.from({ length: 108 }, (_, i) => i), "(100.0%)"],
  ] as const)("where %s agree, that is said", async (_, same, text) => {
    const { view } = await agreeing(same);
    hatch(view).box.click();
    await frame();
    expect(hatch(view).label?.innerText).toContain(text);
    expect(striped(view).length > 0).toBe(same.length > 0);
  });

  test("follows the picture, of whatever size", async () => {
    const { host, view } = await agreeing([0, 1, 2, 3]);
    hatch(view).box.click();
    await frame();
    const other = new Scene({ width: 5, height: 4, trace: 2 });
    other.baseline.set(other.photo.subarray(0, 30));
    host.model.set("baseline", "white");
    host.model.receive(...other.answer(host.view, 2, { baseline: "white" }));
    await frame();
    expect(hatch(view).label?.innerText).toContain("(50.0%)");
    expect(striped(view).every((pixel) => pixel < 10)).toBe(true);
  });

  test("does not keep the pointer from the picture", async () => {
    const { view } = await agreeing([0, 1, 2, 3]);
    hatch(view).box.click();
    await frame();
    const { width, height } = view.overlay.getBoundingClientRect();
    await userEvent.hover(view.overlay, { position: { x: 0.01 * width, y: 0.01 * height } });
    await frame();
    expect(view.text).toContain("pixel (0, 0):");
  });
});

describe("regions", () => {
  const box = (left: number) => ({
    kind: "rectangle" as const,
    box: [left, 0, left + 1, 2] as const,
  });

  test("of Python are drawn in every view, and one drawn in a view in all", async () => {
    const { host, model, view } = await explained({ _regions: [box(0)] });
    const other = host.render();
    await frame();
    view.button("select region 1");
    other.button("select region 1");
    model.set("_regions", [box(0), box(3)] as never);
    view.button("select region 2");
    view.button("rectangle").click();
    await drag(view, [1, 1], [4, 3]);
    expect(model.get("_regions")).toHaveLength(3);
    expect(model.saved.at(-1)?._regions.at(-1)).toEqual({ kind: "rectangle", box: [1, 1, 5, 4] });
    other.button("select region 3");
    other.button("remove region 1").click();
    expect(model.get("_regions")).toEqual([box(3), { kind: "rectangle", box: [1, 1, 5, 4] }]);
    expect(() => view.button("select region 3")).toThrow();
  });

  test("selecting one tells the kernel nothing", async () => {
    const { model, view } = await explained({ _regions: [box(0), box(3)] });
    view.button("select region 1").click();
    view.button("remove region 2").click();
    const saves = model.saved.length;
    view.button("select region 1").click();
    view.button("select region 1").click();
    expect(model.saved.length).toBe(saves);
  });

  test("of more than 32 the newest are kept", async () => {
    const many = Array.from({ length: 32 }, (_, i) => box(i % 6));
    const { model, view } = await explained({ _regions: many });
    view.button("rectangle").click();
    await drag(view, [1, 1], [4, 3]);
    expect(model.get("_regions")).toHaveLength(32);
    expect(model.get("_regions").at(-1)).toEqual({ kind: "rectangle", box: [1, 1, 5, 4] });
    expect(() => view.button("select region 33")).toThrow();
  });
});
