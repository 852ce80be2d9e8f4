import { describe, expect, onTestFinished, test, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { html } from "../src/util/dom.js";
import { type Place, Zoom } from "../src/views/zoom.js";
import "../src/explorers/image.css";
import "../src/views/zoom.css";
import { pointer } from "./support/pointer.js";

function make(cursor?: () => Place | undefined) {
  const life = new AbortController();
  const zoom = new Zoom(life.signal);
  const pictures = [1, 2].map(() => {
    const layer = html("div", {}, html("canvas", { width: 40, height: 20 }));
    const frame = html("div", { class: "igw-picture igw-overlay", tabindex: 0 }, layer);
    frame.style.width = "400px";
    // A pointer that the page made up cannot be captured.
    vi.spyOn(frame, "setPointerCapture").mockImplementation(() => {});
    zoom.attach(frame, layer, life.signal, cursor);
    return { frame, layer };
  });
  const [one, other] = pictures;
  if (one === undefined || other === undefined) throw new Error("two pictures");
  const root = html("div", { class: "igw" }, one.frame, other.frame, zoom.controls);
  document.body.append(root);
  onTestFinished(() => {
    life.abort();
    root.remove();
  });
  /** Where a place of the picture, in shares of it, is seen, in shares of the frame. */
  const seen = ({ frame, layer }: typeof one, [x, y]: readonly [number, number]) => {
    const [outer, box] = [frame.getBoundingClientRect(), layer.getBoundingClientRect()];
    const across = (box.left + x * box.width - outer.left) / outer.width;
    const down = (box.top + y * box.height - outer.top) / outer.height;
    return [across, down].map((share) => Math.round(share * 1e4) / 1e4);
  };
  const button = (name: string) =>
    zoom.controls.querySelector(`button[aria-label="${name}"]`) as HTMLButtonElement;
  const factor = () => zoom.controls.querySelector("output")?.textContent;
  const wheel = (deltaY: number, [x, y]: readonly [number, number], ctrlKey = true) => {
    const { left, top, width, height } = one.frame.getBoundingClientRect();
    const [clientX, clientY] = [left + x * width, top + y * height];
    const init = { deltaY, clientX, clientY, ctrlKey, bubbles: true, cancelable: true };
    const event = new WheelEvent("wheel", init);
    one.frame.dispatchEvent(event);
    return event;
  };
  const inFrame = () => {
    for (const picture of pictures) {
      const [[left = 1, top = 1], [right = 0, bottom = 0]] = [
        seen(picture, [0, 0]),
        seen(picture, [1, 1]),
      ];
      expect(Math.max(left, top)).toBeLessThanOrEqual(0);
      expect(Math.min(right, bottom)).toBeGreaterThanOrEqual(1);
    }
  };
  return { zoom, one, other, life, seen, button, factor, wheel, inFrame };
}

describe("the wheel", () => {
  test("with Ctrl enlarges all pictures around the pointer", () => {
    const { one, other, seen, wheel, zoom } = make();
    const at = [0.25, 0.75] as const;
    for (let i = 0; i < 5; i++) expect(wheel(-100, at).defaultPrevented).toBe(true);
    expect(zoom.scale).toBeCloseTo(Math.exp(1.25), 6);
    expect(seen(one, at)).toEqual([...at]);
    expect(seen(other, [0, 0])).toEqual(seen(one, [0, 0]));
    for (let i = 0; i < 9; i++) wheel(100, at);
    expect(zoom.scale).toBe(1);
    expect(seen(one, [0, 0])).toEqual([0, 0]);
  });

  test("alone scrolls the page", () => {
    const { wheel, factor } = make();
    expect(wheel(-100, [0.5, 0.5], false).defaultPrevented).toBe(false);
    expect(factor()).toBe("1.0x");
  });
});

describe("buttons and keys", () => {
  test("go from 1 to 16 and back, and say so", () => {
    const { button, factor, one, zoom } = make();
    expect(button("zoom out").getAttribute("aria-disabled")).toBe("true");
    button("zoom in").click();
    button("zoom in").click();
    expect(factor()).toBe("2.0x");
    const canvas = one.layer.querySelector("canvas") as HTMLCanvasElement;
    expect(getComputedStyle(canvas).imageRendering).toBe("pixelated");
    for (let i = 0; i < 20; i++) button("zoom in").click();
    expect(zoom.scale).toBe(16);
    expect(button("zoom in").getAttribute("aria-disabled")).toBe("true");
    button("reset zoom").click();
    expect(factor()).toBe("1.0x");
    expect(getComputedStyle(one.layer).transform).toBe("none");
  });

  test("+ - 0 do, while a picture has the focus", async () => {
    const { one, factor } = make();
    one.frame.focus();
    await userEvent.keyboard("++++");
    expect(factor()).toBe("4.0x");
    await userEvent.keyboard("--");
    expect(factor()).toBe("2.0x");
    await userEvent.keyboard("0");
    expect(factor()).toBe("1.0x");
  });

  test("the cross-hair that arrows move stays in sight", async () => {
    let place: Place = { x: 0.9, y: 0.1 };
    const { one, seen } = make(() => place);
    one.frame.focus();
    await userEvent.keyboard("++++");
    expect(seen(one, [0.9, 0.1])).toEqual([0.9, 0.1]);
    place = { x: 0.2, y: 0.1 };
    await userEvent.keyboard("{ArrowLeft}");
    expect(seen(one, [0.2, 0.1])).toEqual([0, 0.1]);
  });
});

describe("a drag", () => {
  test("by the middle button pans what is zoomed, to its edge", () => {
    const { zoom, one, other, seen, inFrame } = make();
    zoom.zoomBy(4);
    const before = seen(one, [0.5, 0.5]);
    expect(pointer(one.frame, "pointerdown", [0.5, 0.5], { button: 1 }).defaultPrevented).toBe(
      true,
    );
    pointer(one.frame, "pointermove", [0.6, 0.3]);
    expect(seen(other, [0.5, 0.5])).toEqual([(before[0] ?? 0) + 0.1, (before[1] ?? 0) - 0.2]);
    pointer(one.frame, "pointermove", [9, -9]);
    inFrame();
    expect(seen(one, [0, 1])).toEqual([0, 1]);
    pointer(one.frame, "pointerup", [9, -9]);
    pointer(one.frame, "pointermove", [0.1, 0.1]);
    expect(seen(one, [0, 1])).toEqual([0, 1]);
  });

  test("while the space bar is held pans, and not after", async () => {
    const { zoom, one, seen } = make();
    zoom.zoomBy(2);
    const place = () => seen(one, [0, 0]);
    const drag = () => {
      const { defaultPrevented } = pointer(one.frame, "pointerdown", [0.5, 0.5]);
      pointer(one.frame, "pointermove", [0.4, 0.5]);
      pointer(one.frame, "pointerup", [0.4, 0.5]);
      return defaultPrevented;
    };
    one.frame.focus();
    await userEvent.keyboard("[Space>]");
    expect(drag()).toBe(true);
    expect(place()).toEqual([-0.6, -0.5]);
    await userEvent.keyboard("[/Space]");
    expect(drag()).toBe(false);
    expect(place()).toEqual([-0.6, -0.5]);
  });

  test("is left to others where nothing is zoomed", () => {
    const { one, seen } = make();
    expect(pointer(one.frame, "pointerdown", [0.5, 0.5], { button: 1 }).defaultPrevented).toBe(
      false,
    );
    pointer(one.frame, "pointermove", [0.1, 0.1]);
    expect(seen(one, [0, 0])).toEqual([0, 0]);
  });
});

test("two fingers pinch: what is between them stays between them", () => {
  const { zoom, one, seen, inFrame } = make();
  const finger = (id: number) => ({ pointerId: id, pointerType: "touch", isPrimary: id === 1 });
  pointer(one.frame, "pointerdown", [0.4, 0.5], finger(1));
  expect(pointer(one.frame, "pointerdown", [0.6, 0.5], finger(2)).defaultPrevented).toBe(true);
  pointer(one.frame, "pointermove", [0.3, 0.5], finger(1));
  pointer(one.frame, "pointermove", [0.7, 0.5], finger(2));
  expect(zoom.scale).toBeCloseTo(2, 6);
  expect(seen(one, [0.5, 0.5])).toEqual([0.5, 0.5]);
  inFrame();
  pointer(one.frame, "pointerup", [0.7, 0.5], finger(2));
  pointer(one.frame, "pointermove", [0.1, 0.5], finger(1));
  expect(zoom.scale).toBeCloseTo(2, 6);
});

test("nothing is left when the view is closed", () => {
  const { life, zoom, wheel, button, one } = make();
  life.abort();
  wheel(-100, [0.5, 0.5]);
  button("zoom in").click();
  zoom.zoomBy(2);
  expect(one.layer.hasAttribute("data-zoomed")).toBe(false);
});
