import { describe, expect, test } from "vitest";
import { userEvent } from "vitest/browser";
import { explained, scene } from "./support/explained.js";
import { explainedRow } from "./support/explained_row.js";
import { choose, frame, Host, type View } from "./support/mount.js";
import { compared } from "./support/panes.js";
import { Scene } from "./support/scene.js";

const TABS = [
  "path",
  "values",
  "regions",
  "convergence",
  "baselines",
  "compare",
  "dependence",
  "save",
];

function heads(el: HTMLElement): HTMLElement[] {
  return [...el.querySelectorAll<HTMLElement>("[role=tab]")];
}

/** The names of the tabs that are selected, of the panels that are seen, and of what Tab reaches. */
function opened(el: HTMLElement) {
  const panels = [...el.querySelectorAll<HTMLElement>("[role=tabpanel]")];
  const name = (id: string | null) => heads(el).find((head) => head.id === id)?.textContent;
  return {
    selected: heads(el)
      .filter((head) => head.getAttribute("aria-selected") === "true")
      .map(({ textContent }) => textContent),
    reached: heads(el)
      .filter(({ tabIndex }) => tabIndex === 0)
      .map(({ textContent }) => textContent),
    seen: panels
      .filter((panel) => panel.checkVisibility())
      .map((panel) => name(panel.getAttribute("aria-labelledby"))),
  };
}

const only = (name: string) => ({ selected: [name], reached: [name], seen: [name] });

describe("tabs", () => {
  test("show one panel at a time, whichever is clicked", async () => {
    const { view } = await explained();
    expect(heads(view.el).map(({ textContent }) => textContent)).toEqual(TABS);
    expect(opened(view.el)).toEqual(only("path"));
    for (const name of [...TABS].reverse()) {
      view.tab(name);
      expect(opened(view.el)).toEqual(only(name));
    }
  });

  test("follow the keys of their pattern, and the focus goes along", async () => {
    const { view } = await explained();
    heads(view.el)[0]?.focus();
    for (const [key, name] of [
      ["{ArrowRight}", "values"],
      ["{ArrowLeft}{ArrowLeft}", "save"],
      ["{ArrowRight}", "path"],
      ["{End}", "save"],
      ["{Home}", "path"],
    ] as const) {
      await userEvent.keyboard(key);
      expect(opened(view.el)).toEqual(only(name));
      expect(document.activeElement?.textContent).toBe(name);
    }
    await userEvent.keyboard("{Tab}");
    expect(document.activeElement?.getAttribute("role")).toBe("tabpanel");
  });

  test("are each view's own, and stay as pictures come", async () => {
    const { host, model, view } = await explained();
    const other = host.render();
    view.tab("values");
    expect(opened(other.el)).toEqual(only("path"));
    model.set("baseline", "white");
    model.receive(...scene.answer(host.view, 2, { baseline: "white" }));
    await frame();
    expect(opened(view.el)).toEqual(only("values"));
  });

  test("of a table are those that it has, and of a recording those that need no kernel", async () => {
    const { el } = await explainedRow();
    const kept = TABS.filter((name) => name !== "regions" && name !== "dependence");
    expect(heads(el).map(({ textContent }) => textContent)).toEqual(kept);
    const { view } = await explained({ _offered: {}, show_dependence: true });
    expect(heads(view.el).map(({ textContent }) => textContent)).toEqual(TABS.slice(0, 4));
    expect(opened(view.el)).toEqual(only("path"));
  });

  test("what Python has asked for is open from the start", async () => {
    const { view } = await explained({ show_dependence: true });
    expect(opened(view.el)).toEqual(only("dependence"));
  });
});

describe("what a method does not use is not offered", () => {
  async function answered(method: string, path: string): Promise<View> {
    const host = new Host({ method, alpha: 0.3, tol: 0.05 });
    const view = host.render();
    const fineness = method === "auto" ? { n_steps: 0, tol: 0.05 } : { tol: 0 };
    const begin = scene.begin(host.view, 1, { method, ...fineness });
    host.model.receive(
      { ...begin, content: { ...begin.content, path } as never },
      scene.samples(host.view, 1),
      scene.plan(host.view, 1),
      scene.done(host.view, 1),
    );
    await frame();
    return view;
  }

  test.each([
    ["riemann_middle", "straight", "steps"],
    ["auto", "straight", "tolerance"],
    ["guided_integrated_gradients", "curved", "steps"],
    ["smoothgrad", "draws", "steps"],
    ["gradient", "draws", undefined],
    ["input_x_gradient", "draws", undefined],
    ["of a later version", "straight", "steps"],
  ])("%s, %s: %s", async (method, path, fineness) => {
    const view = await answered(method, path);
    const isSeen = (name: string) =>
      view.slider(name).checkVisibility({ visibilityProperty: true });
    const offered = ["steps", "tolerance"].filter(isSeen);
    expect(offered).toEqual(fineness === undefined ? [] : [fineness]);
    expect(isSeen("alpha")).toBe(path !== "draws");
    expect(view.button("▶play alpha").checkVisibility({ visibilityProperty: true })).toBe(
      path !== "draws",
    );
    // What lies on no path is shown whole.
    const alpha = path === "draws" ? "1.00" : "0.30";
    expect(view.overlay.getAttribute("aria-label")).toContain(`alpha ${alpha}`);
    expect(view.text.includes("On no path")).toBe(path === "draws");
  });

  test("their places stay: nothing moves with the method", async () => {
    const { model, view } = await explained();
    view.el.style.width = "850px";
    const places = () =>
      [".igw-question", ".igw-stage", ".igw-under", ".igw-bench"].map((part) => {
        const { x, y, width, height } = (
          view.el.querySelector(part) as Element
        ).getBoundingClientRect();
        return [x, y, width, height];
      });
    await frame();
    const before = places();
    for (const method of ["auto", "gradient", "smoothgrad", "secant"]) {
      model.set("method", method);
      await frame();
      expect(places()).toEqual(before);
    }
  });

  test("alpha is there for the panes that lie on a path, whatever the first one is", async () => {
    const { view } = await compared(
      [
        [{}, new Scene({ trace: 1 })],
        [{ baseline: "white" }, new Scene({ trace: 2 })],
      ],
      {},
    );
    expect(view.slider("alpha").checkVisibility({ visibilityProperty: true })).toBe(true);
  });

  test("a channel with nothing to choose has no list", async () => {
    const { model, view } = await explained({ _channels: ["sum"] });
    view.tab("values");
    expect(view.list("channel").checkVisibility()).toBe(false);
    model.set("_channels", ["sum", "red"]);
    expect(view.list("channel").checkVisibility()).toBe(true);
  });
});

describe("lists", () => {
  const groups = (list: HTMLSelectElement) =>
    [...list.querySelectorAll("optgroup")].map(({ label, children }) => [
      label,
      [...children].map(({ textContent }) => textContent),
    ]);

  test("methods are in words, rules before relatives, and each says what it does", async () => {
    const _methods = ["auto", "riemann_middle", "secant", "gradient", "smoothgrad", "new_one"];
    const { model, view } = await explained({ _methods });
    expect(groups(view.list("method"))).toEqual([
      ["Integrated Gradients, by a rule", ["to a tolerance", "middle points", "secant cells"]],
      ["relatives", ["gradient", "SmoothGrad", "new_one"]],
    ]);
    expect(view.list("method").title).toContain("in the middle of each step");
    model.set("method", "secant");
    expect(view.list("method").title).toContain("mean slope");
  });

  test("colour maps that serve come first, all others under more", async () => {
    const _colormaps = ["Accent", "coolwarm", "jet", "RdBu_r", "viridis"];
    const { view } = await explained({ _colormaps });
    expect(groups(view.list("colormap"))).toEqual([
      ["diverging: zero in the middle", ["RdBu_r", "coolwarm"]],
      ["sequential: dark to light", ["viridis"]],
      ["more", ["Accent", "jet"]],
    ]);
  });
});

describe("the stage", () => {
  test("regions and cross-hair are on the picture and on the map, wherever is pointed", async () => {
    const { view } = await explained({ _regions: [{ kind: "rectangle", box: [1, 1, 4, 3] }] });
    const input = view.image("interpolated image");
    const outline = (of: Element) => of.querySelector(".igw-outline-dash")?.getAttribute("d");
    expect(outline(input)).toBe(outline(view.overlay));
    expect(outline(input)).toMatch(/^M1 1/);
    const crosshair = (of: Element) => {
      const found = of.querySelector<HTMLElement>(".igw-crosshair");
      return found?.hidden ? undefined : found?.style.cssText;
    };
    expect(crosshair(input)).toBeUndefined();
    for (const [one, other] of [
      [view.overlay, input],
      [input, view.overlay],
    ] as const) {
      const { left, top, width, height } = one.getBoundingClientRect();
      const at = { clientX: left + width * 0.55, clientY: top + height * 0.3, bubbles: true };
      one.dispatchEvent(new PointerEvent("pointermove", { ...at, pointerType: "mouse" }));
      await frame();
      expect(crosshair(other)).toBeDefined();
      expect(crosshair(other)).toBe(crosshair(one));
      expect(view.text).toContain("pixel (");
      one.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
      await frame();
      expect(crosshair(other)).toBeUndefined();
    }
  });

  test("a region that is being drawn is on the picture as well", async () => {
    const { view } = await explained();
    view.overlay.focus();
    await userEvent.keyboard("{Enter}{ArrowRight}");
    const drafts = [view.overlay, view.image("interpolated image")].map((of) =>
      of.querySelector(".igw-outline-dash")?.getAttribute("d"),
    );
    expect(drafts[0]).toBeDefined();
    expect(drafts[1]).toBe(drafts[0]);
  });

  test("? says what its parts are, and Escape gives the focus back", async () => {
    const { view } = await explained();
    const help = view.el.querySelector("[role=dialog]") as HTMLElement;
    expect(help.checkVisibility()).toBe(false);
    view.button("what is what").focus();
    await userEvent.keyboard("{Enter}");
    expect(help.checkVisibility()).toBe(true);
    expect(document.activeElement).toBe(help);
    for (const words of ["the map: what each pixel adds", "alpha", "baselines", "the bench"])
      expect(help.innerText).toContain(words);
    await userEvent.keyboard("{Escape}");
    expect(help.checkVisibility()).toBe(false);
    expect(document.activeElement).toBe(view.button("what is what"));
  });
});

describe("a copy in a new pane", () => {
  test("asks what is shown now, whatever is chosen afterwards", async () => {
    const { model, view } = await explained({ baseline: "blur(sigma=8)", method: "riemann_left" });
    view.tab("compare");
    view.button("copy to a new pane").click();
    const copy = {
      baseline: "blur(sigma=8)",
      target: 1,
      output: "logit",
      method: "riemann_left",
      channel: "sum",
      n_steps: 4,
    };
    expect(model.get("_panes")).toEqual([{}, copy]);
    const title = () => view.el.querySelector(".igw-pane .igw-title")?.textContent;
    await frame();
    expect(title()).toBe("the same");
    choose(view.list("baseline"), "white");
    await frame();
    // Only in what it differs now; and the first says what it has instead.
    expect(title()).toBe("baseline blur, sigma 8");
    const titles = [...view.el.querySelectorAll(".igw-stage .igw-title")];
    expect(titles.map(({ textContent }) => textContent)).toContain("baseline white");
  });

  test.each([
    ["auto", { tol: 0.1 }],
    ["gradient", {}],
  ])("of %s has %o for its fineness", async (method, own) => {
    const { model, view } = await explained({ method, tol: 0.1 });
    view.tab("compare");
    view.button("copy to a new pane").click();
    const { n_steps, tol } = model.get("_panes")[1] ?? {};
    expect({ ...(n_steps && { n_steps }), ...(tol && { tol }) }).toEqual(own);
  });
});
