import { describe, expect, test } from "vitest";
import type { Dependence } from "../src/panels/dependence.js";
import { maps, ready } from "./support/dependence.js";
import { explained, scene } from "./support/explained.js";
import { blueToRed } from "./support/fake_model.js";
import { choose, frame, type View } from "./support/mount.js";
import { expectedPixels, expectSamePixels, pictureOf, pixelsOf } from "./support/pixels.js";

const HEADING = "How much does this depend on the baseline?";
const DARKEST = [63, 0, 125];

/** Switched on and answered, in one view. */
async function answered(traits: Parameters<typeof explained>[0] = {}) {
  const made = await explained({ show_dependence: true, _dependence: ready(1), ...traits });
  made.model.receive(maps(scene, made.host.view, 1));
  await frame();
  return made;
}

function canvasOf(view: View, name: string): HTMLCanvasElement {
  const canvas = view.image(name).querySelector("canvas");
  if (canvas === null) throw new Error(`${name} has no canvas`);
  return canvas;
}

function panelOf(view: View): HTMLElement {
  const panel = view.el.querySelector<HTMLElement>(".igw-dependence");
  if (panel === null) throw new Error("there is no such panel");
  return panel;
}

describe("the switch", () => {
  test("folding it out asks for it, folding it in no more", async () => {
    const { model, view } = await explained();
    const details = await view.unfold(HEADING);
    expect(model.saved.at(-1)?.show_dependence).toBe(true);
    await frame();
    expect(details.innerText).toContain("asking the model…");
    expect(model.all("request")).toEqual([]);
    details.querySelector("summary")?.click();
    await expect.poll(() => model.saved.at(-1)?.show_dependence).toBe(false);
  });

  test("every view follows, whoever has switched", async () => {
    const { host, model, view } = await explained();
    const other = host.render();
    await view.unfold(HEADING);
    await expect.poll(() => panelOf(other).hasAttribute("open")).toBe(true);
    model.set("show_dependence", false);
    await expect.poll(() => panelOf(view).hasAttribute("open")).toBe(false);
    expect(panelOf(other).hasAttribute("open")).toBe(false);
  });

  test("a page without a kernel has none", async () => {
    const { view } = await explained({ _offered: {}, show_dependence: true });
    expect(view.el.querySelector(".igw-dependence")).toBeNull();
  });

  test("while it is folded in, nothing is asked or drawn", async () => {
    const { model, view } = await explained({ _dependence: ready(1) });
    await frame();
    expect(model.all("request")).toEqual([]);
    expect(view.el.querySelectorAll('[aria-label^="mean of"]')).toHaveLength(0);
  });
});

describe("while it is worked out", () => {
  test.each<[Dependence, string, number | undefined]>([
    [{}, "asking the model…", undefined],
    [{ kind: "computing", done: 0, total: 0 }, "waiting for its turn with the model…", undefined],
    [{ kind: "computing", done: 14, total: 56 }, "asking the model: 14 of 56 evaluations", 0.25],
  ])("%j is said", async (state, words, share) => {
    const { view } = await explained({ show_dependence: true, _dependence: state });
    const panel = panelOf(view);
    expect(panel.innerText).toContain(words);
    const progress = panel.querySelector("progress");
    expect(progress?.checkVisibility()).toBe(true);
    expect(progress?.position).toBe(share ?? -1);
    expect(panel.innerText).not.toContain("depends on the baseline");
  });

  test("a failure is said in words", async () => {
    const message = "the model raised <b>RuntimeError</b>";
    const { view } = await explained({
      show_dependence: true,
      _dependence: { kind: "failed", message },
    });
    expect(panelOf(view).innerText).toContain(`Not worked out: ${message}`);
    expect(panelOf(view).querySelector("b, progress:not([hidden])")).toBeNull();
  });
});

describe("the answer", () => {
  test("its maps are asked for once, and all views show it, also a later one", async () => {
    const { host, model, view } = await explained({ show_dependence: true });
    host.render();
    model.set("_dependence", ready(7));
    await frame();
    expect(model.all("request")).toEqual([
      { type: "request", view: host.view, panel: "dependence" },
    ]);
    expect(view.text).not.toContain("62%");
    // Neither those of another front end, nor older ones.
    model.receive(maps(scene, "another", 7), maps(scene, host.view, 6));
    await frame();
    expect(view.text).not.toContain("62%");
    model.receive(maps(scene, host.view, 7));
    const late = host.render();
    await frame();
    for (const one of [view, late]) {
      expect(one.text).toContain("62% of this map depends on the baseline, and 31% of its sums");
      expect(one.image("mean of the attribution over 2 baselines").checkVisibility()).toBe(true);
    }
    expect(model.all("request")).toHaveLength(1);
  });

  test("the definition of the number is at hand", async () => {
    const { view } = await answered();
    const said = panelOf(view).querySelector(".igw-sentence");
    expect(said?.getAttribute("title")).toContain("sum of variances over the baselines");
  });

  test("the mean is drawn as the attribution is, in the same scale", async () => {
    const { view } = await answered({ opacity: 0.7, sign: "positive", ground: "colour" });
    const shade = { sign: "positive", opacity: 0.7, ground: "colour" } as const;
    const scale = pictureOf(scene).map.scale(99);
    const expected = expectedPixels(scene, [[0, 1, 0, 1]], 1, { ...shade, scale }, blueToRed());
    expectSamePixels(pixelsOf(canvasOf(view, "mean of")), expected);
  });

  test("the standard deviation is drawn in one hue, in the same scale, whatever the sign", async () => {
    const { view } = await answered({ sign: "negative" });
    const drawn = pixelsOf(canvasOf(view, "standard deviation of"));
    const scale = pictureOf(scene).map.scale(99);
    const [, levels = new Int16Array()] = scene.levels;
    const above = [...levels.keys()].filter(
      (i) => Math.abs(levels[i] ?? 0) * (scene.scales[1] ?? 0) >= scale,
    );
    expect(above.length).toBeGreaterThan(0);
    expect(above.length).toBeLessThan(levels.length);
    for (const i of above) expect(drawn.slice(3 * i, 3 * i + 3)).toEqual(DARKEST);
    const share = `${((100 * above.length) / levels.length).toFixed(1)}% clipped`;
    expect(panelOf(view).innerText).toContain(share);
  });

  test("alpha moves neither; other looks change both and ask nothing", async () => {
    const { model, view } = await answered();
    const names = ["mean of", "standard deviation of"];
    const drawn = () => names.map((name) => canvasOf(view, name).toDataURL());
    const before = drawn();
    choose(view.slider("alpha"), "0.3");
    await frame();
    expect(drawn()).toEqual(before);
    choose(view.slider("opacity"), "0.4");
    await frame();
    drawn().forEach((now, i) => {
      expect(now).not.toBe(before[i]);
    });
    expect(model.all("request")).toHaveLength(1);
  });

  test("baselines are listed, their names as text", async () => {
    const name = '<img src="x" onerror="alert(1)">';
    const rows = [
      { name, output: -1, sum: 10.31, share: 0.75 },
      { name: "white", output: 0.5, sum: 8.81, share: 0.25 },
    ];
    const { view } = await answered({ _dependence: ready(1, { rows }) });
    const cells = [...panelOf(view).querySelectorAll("tbody tr")].map((row) =>
      [...row.children].map(({ textContent }) => textContent),
    );
    expect(cells).toEqual([
      ['<img src="x" onerror="ale…', "−1.00", "10.3", "75%"],
      ["white", "0.500", "8.81", "25%"],
    ]);
    expect(panelOf(view).querySelector("tbody img")).toBeNull();
    expect(panelOf(view).innerText).toContain("F(x) is 9.31; secant, 8 steps each");
  });

  test("of another question it is faint and says no number, until the new one is there", async () => {
    const { host, model, view } = await answered();
    const result = view.image("mean of").closest(".igw-panes");
    expect(result?.hasAttribute("data-stale")).toBe(false);
    choose(view.list("target"), "2");
    await frame();
    expect(result?.hasAttribute("data-stale")).toBe(true);
    expect(panelOf(view).querySelector(".igw-sentence")?.checkVisibility()).toBe(false);
    model.set("_dependence", { kind: "computing", done: 1, total: 56 });
    await frame();
    expect(result?.hasAttribute("data-stale")).toBe(true);
    const asked = { target: 2, output: "logit", channel: "sum" };
    model.set("_dependence", ready(2, { asked, dependence: 1.02, coarse: 0.25 }));
    await frame();
    model.receive(maps(scene, host.view, 2));
    await frame();
    expect(result?.hasAttribute("data-stale")).toBe(false);
    expect(view.text).toContain("100% of this map depends on the baseline, and 25% of");
  });
});

test("a front end that is closed listens no more", async () => {
  const { host, model } = await answered();
  host.close();
  expect(model.listenerCount).toBe(0);
});
