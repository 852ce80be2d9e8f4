import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Screen } from "../src/image/gl/screen.js";
import { event, lose, watchContexts, withoutWebGL } from "./support/contexts.js";
import { expectDrawn, explained } from "./support/explained.js";
import { blueToRed } from "./support/fake_model.js";
import { choose, frame } from "./support/mount.js";
import { expectedPixels, expectSamePixels, PLAIN, pictureOf, pixelsOf } from "./support/pixels.js";
import { Scene } from "./support/scene.js";

const lut = blueToRed();
const scene = new Scene({ width: 37, height: 23, count: 6, seed: 5 });
const picture = pictureOf(scene);
const look = {
  sign: "all" as const,
  ground: "grey" as const,
  opacity: 0.8,
  scale: picture.map.scale(99),
};

/** A screen with the picture on it, and the context behind it. */
function started() {
  const [contexts, life, redraw] = [watchContexts(), new AbortController(), vi.fn()];
  onTestFinished(() => life.abort());
  const screen = new Screen(redraw, life.signal);
  screen.paint(lut);
  screen.show(picture);
  draw(screen, 0.6);
  const [context] = contexts;
  if (context === undefined) throw new Error("this browser has no WebGL2");
  return { screen, context, redraw };
}

function draw(screen: Screen, alpha: number): void {
  screen.draw({ ...PLAIN, ...look, ...picture.map.place(alpha) });
}

function expectShown(screen: Screen, alpha: number): void {
  const expected = expectedPixels(scene, scene.entries, alpha, look, lut);
  expectSamePixels(pixelsOf(screen.canvas), expected);
}

describe("a lost context", () => {
  test("is drawn on by Canvas2D at once, with the reason in words", async () => {
    const { screen, context, redraw } = started();
    expect(screen.renderer.name).toBe("webgl2");
    await lose(context);
    expect(screen.renderer.name).toBe("canvas");
    expect(screen.reason).toMatch(/^drawn by Canvas2D: the browser has taken WebGL2 away/);
    expect(redraw).toHaveBeenCalled();
    expectShown(screen, 0.6);
    draw(screen, 0.3);
    expectShown(screen, 0.3);
  });

  test("leaves the picture whole at every moment, also where the page has not been told yet", async () => {
    const { screen, context } = started();
    const lost = event(context, "webglcontextlost");
    context.getExtension("WEBGL_lose_context")?.loseContext();
    expectShown(screen, 0.6);
    draw(screen, 0.2);
    expectShown(screen, 0.2);
    await lost;
    expectShown(screen, 0.2);
    expect(screen.renderer.name).toBe("canvas");
  });

  test("in mid-movement is drawn on by Canvas2D as well", async () => {
    const { screen, context } = started();
    for (const alpha of [0.5, 0.45, 0.4]) {
      draw(screen, alpha);
      expect(screen.canvas).toBe(context.canvas);
      expectShown(screen, alpha);
    }
    await lose(context);
    expect(screen.canvas).not.toBe(context.canvas);
    expectShown(screen, 0.4);
  });

  test("that is given back draws again, also what was shown and painted meanwhile", async () => {
    const { screen, context } = started();
    const restore = await lose(context);
    const finer = pictureOf(
      scene,
      scene.entries
        .slice()
        .reverse()
        .map(([id], i) => [id, 1 / 6, i / 6, (i + 1) / 6]),
    );
    screen.show(finer);
    screen.paint(lut.slice().reverse());
    const restored = event(context, "webglcontextrestored");
    restore();
    await restored;
    expect(screen.renderer.name).toBe("webgl2");
    expect(screen.reason).toBe("drawn by WebGL2");
    screen.show(picture);
    screen.paint(lut);
    draw(screen, 0.4);
    expectShown(screen, 0.4);
  });

  test("is said in the status line's title", async () => {
    const contexts = watchContexts();
    const { view } = await explained();
    const [context] = contexts;
    if (context === undefined) throw new Error("this browser has no WebGL2");
    const restore = await lose(context);
    await expect.poll(() => view.status.textContent).toContain("canvas");
    expect(view.status.title).toContain("the browser has taken WebGL2 away");
    expectDrawn(view, 1);
    restore();
    await expect.poll(() => view.status.textContent).toContain("webgl2");
    expect(view.status.title).toBe("drawn by WebGL2");
    expectDrawn(view, 1);
  });
});

test("WebGL's canvas is in the page while the picture moves, and a copy of it at rest", async () => {
  const { screen, context } = started();
  const page = document.createElement("div");
  page.append(screen.canvas);
  expect(screen.canvas).not.toBe(context.canvas);
  draw(screen, 0.1);
  expect([...page.children]).toEqual([context.canvas]);
  await expect.poll(() => page.firstChild).not.toBe(context.canvas);
  expect([...page.children]).toEqual([screen.canvas]);
  expectShown(screen, 0.1);
});

test("twenty explorers in one page each show their picture, more than there are contexts", async () => {
  const contexts = watchContexts();
  const all = [];
  for (let i = 0; i < 20; i++) all.push(await explained());
  const lost = () => contexts.filter((context) => context.isContextLost()).length;
  await expect.poll(lost).toBeGreaterThan(0);
  await frame();
  for (const { view } of all) expectDrawn(view, 1);
  for (const { view } of all) choose(view.slider("alpha"), "0.35");
  await frame();
  for (const { view } of all) expectDrawn(view, 0.35);
  const names = all.map(
    ({ view }) => (/webgl2|canvas/.exec(view.status.textContent ?? "") ?? [])[0],
  );
  expect(names.filter((name) => name === "canvas")).toHaveLength(lost());
});

test("without WebGL2 it is drawn by Canvas2D, and the reason is said", () => {
  withoutWebGL();
  const screen = new Screen(() => {}, new AbortController().signal);
  expect(screen.renderer.name).toBe("canvas");
  expect(screen.reason).toContain("no WebGL2");
});
