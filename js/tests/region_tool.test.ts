import { describe, expect, test, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { maskOf, type Region } from "../src/views/region.js";
import { explained, scene } from "./support/explained.js";
import { choose, frame, type View } from "./support/mount.js";
import { pictureOf } from "./support/pixels.js";

const { map } = pictureOf(scene);

/** The numbers of one row of the table of regions, by number. */
function row(view: View, number: number): string[] {
  const button = view.button(`select region ${number}`);
  const cells = button.closest("tr")?.querySelectorAll("td") ?? [];
  return [...cells].map(({ textContent }) => textContent ?? "").slice(0, 3);
}

function expectRow(view: View, number: number, region: Region, alpha: number): void {
  const mask = maskOf(region, 7, 5);
  const pixels = mask.reduce((sum, one) => sum + one, 0);
  let sum = 0;
  mask.forEach((one, pixel) => {
    if (one) sum += map.valueAt(pixel, alpha);
  });
  const [said, collected = "", share] = row(view, number);
  expect(said).toBe(String(pixels));
  expect(Number(collected.replace("−", "-"))).toBeCloseTo(sum, 2);
  expect(share?.replace("−", "-")).toBe(`${((100 * sum) / 10.322).toFixed(1)}%`);
}

/** A pointer's way over a picture, by shares of its width and height. */
function draw(element: HTMLElement, type: string, [x, y]: readonly [number, number]): void {
  const box = element.getBoundingClientRect();
  element.dispatchEvent(
    new PointerEvent(type, {
      clientX: box.left + x * box.width,
      clientY: box.top + y * box.height,
      pointerId: 1,
      isPrimary: true,
      bubbles: true,
    }),
  );
}

describe("by pointer", () => {
  test("a rectangle has the pixels from where it is pressed to where it is let go", async () => {
    const { view } = await explained({ alpha: 0.6 });
    view.button("rectangle").click();
    const { width, height } = view.overlay.getBoundingClientRect();
    await userEvent.dragAndDrop(view.overlay, view.overlay, {
      sourcePosition: { x: (1.5 / 7) * width, y: (0.5 / 5) * height },
      targetPosition: { x: (4.5 / 7) * width, y: (2.5 / 5) * height },
    });
    await frame();
    expectRow(view, 1, { kind: "rectangle", box: [1, 0, 5, 3] }, 0.6);
    expect(view.image("curve").getAttribute("aria-label")).toContain("region 1:");
  });

  test("a patch of like colour is taken by a click, or by Enter at the cross-hair", async () => {
    const { view, model } = await explained();
    view.button("patch").click();
    const { overlay } = view;
    draw(overlay, "pointerdown", [0.5, 0.5]);
    draw(overlay, "pointerup", [0.5, 0.5]);
    const [region] = model.get("_regions");
    expect(region?.kind).toBe("mask");
    overlay.focus();
    await userEvent.keyboard("{Enter}");
    expect(model.get("_regions")).toHaveLength(2);
  });

  test("a lasso has the pixels whose centres it goes around", async () => {
    const { view } = await explained();
    view.button("lasso").click();
    const { overlay } = view;
    vi.spyOn(overlay, "setPointerCapture").mockImplementation(() => {});
    draw(overlay, "pointerdown", [0, 0]);
    for (const point of [
      [1, 0],
      [1, 1],
    ] as const)
      draw(overlay, "pointermove", point);
    await frame();
    expect(overlay.querySelectorAll("path")).toHaveLength(2);
    draw(overlay, "pointerup", [1, 1]);
    await frame();
    const points = [
      [0, 0],
      [7, 0],
      [7, 5],
    ] as const;
    expectRow(view, 1, { kind: "polygon", points }, 1);
  });

  test("a click draws nothing, nor does a drag in the mode point", async () => {
    const { view } = await explained();
    const { overlay } = view;
    vi.spyOn(overlay, "setPointerCapture").mockImplementation(() => {});
    draw(overlay, "pointerdown", [0.2, 0.2]);
    draw(overlay, "pointermove", [0.8, 0.8]);
    draw(overlay, "pointerup", [0.8, 0.8]);
    view.button("rectangle").click();
    draw(overlay, "pointerdown", [0.2, 0.2]);
    draw(overlay, "pointerup", [0.2, 0.2]);
    expect(overlay.querySelectorAll("path")).toHaveLength(0);
  });

  test("Escape gives up what is being drawn", async () => {
    const { view } = await explained();
    const { overlay } = view;
    vi.spyOn(overlay, "setPointerCapture").mockImplementation(() => {});
    view.button("rectangle").click();
    draw(overlay, "pointerdown", [0.2, 0.2]);
    draw(overlay, "pointermove", [0.8, 0.8]);
    expect(overlay.querySelectorAll("path")).toHaveLength(2);
    overlay.focus();
    await userEvent.keyboard("{Escape}");
    draw(overlay, "pointerup", [0.8, 0.8]);
    expect(overlay.querySelectorAll("path")).toHaveLength(0);
  });
});

describe("by keys", () => {
  test("Enter sets one corner and the other; in between the way is told", async () => {
    const { view } = await explained();
    view.overlay.focus();
    await userEvent.keyboard("{ArrowLeft}{ArrowUp}{Enter}{ArrowRight}{ArrowRight}{ArrowDown}");
    await frame();
    expect(view.text).toContain("First corner at (2, 1).");
    expect(view.overlay.querySelectorAll("path")).toHaveLength(2);
    await userEvent.keyboard("{Enter}");
    await frame();
    expect(view.text).not.toContain("First corner");
    expectRow(view, 1, { kind: "rectangle", box: [2, 1, 5, 3] }, 1);
  });

  test("Escape gives up the corner first, and the cross-hair next", async () => {
    const { view } = await explained();
    view.overlay.focus();
    await userEvent.keyboard("{Enter}{ArrowRight}{Escape}");
    await frame();
    expect(view.overlay.querySelectorAll("path")).toHaveLength(0);
    expect(view.text).toContain("pixel (4, 2):");
    await userEvent.keyboard("{Escape}");
    await frame();
    expect(view.text).not.toContain("pixel (4, 2):");
  });
});

describe("the table of regions", () => {
  async function halves() {
    const made = await explained();
    made.view.overlay.focus();
    // All rows of the columns 0 to 2, and of the columns 3 to 6.
    await userEvent.keyboard(
      "{ArrowLeft>10/}{ArrowUp>10/}{Enter}{ArrowRight>2/}{ArrowDown>10/}{Enter}",
    );
    await userEvent.keyboard("{ArrowRight}{Enter}{ArrowRight>10/}{ArrowUp>10/}{Enter}");
    await frame();
    return made;
  }

  test("sums over a partition add up to what is collected, at any alpha", async () => {
    const { view } = await halves();
    for (const alpha of ["0.3", "0.77", "1"]) {
      choose(view.slider("alpha"), alpha);
      await frame();
      const [left, right] = [1, 2].map((n) => Number(row(view, n)[1]?.replace("−", "-")));
      expect((left ?? 0) + (right ?? 0)).toBeCloseTo(map.collected(Number(alpha)), 1);
    }
    expect(row(view, 1)[0]).toBe("15");
    expect(row(view, 2)[0]).toBe("20");
  });

  test("selects, removes, keeps the focus, and the numbers on the picture follow", async () => {
    const { view } = await halves();
    const numbers = () =>
      [...view.overlay.querySelectorAll(".igw-number")].map(
        (number) => `${number.textContent}${number.hasAttribute("data-selected") ? "!" : ""}`,
      );
    expect(numbers()).toEqual(["1", "2!"]);
    view.button("select region 1").click();
    expect(numbers()).toEqual(["1!", "2"]);
    expect(view.button("select region 1").getAttribute("aria-pressed")).toBe("true");
    view.button("select region 1").click();
    expect(numbers()).toEqual(["1", "2"]);
    view.button("remove region 1").click();
    expect(numbers()).toEqual(["1"]);
    expect(document.activeElement).toBe(view.button("select region 1"));
    await frame();
    expect(row(view, 1)[0]).toBe("20");
    view.button("remove region 1").click();
    expect(numbers()).toEqual([]);
    expect(document.activeElement?.textContent).toBe("Regions");
    expect(view.text).toContain("None yet.");
  });
});
