import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { watchContexts } from "./support/contexts.js";
import { expectDrawn, explained, scene } from "./support/explained.js";
import { choose, frame, Host, type View } from "./support/mount.js";
import { failed } from "./support/scene.js";

describe("controls, found by role and name", () => {
  test.each([
    ["alpha", "alpha", "0.3", 0.3],
    ["opacity", "opacity", "0.5", 0.5],
    ["clip", "clip", "90", 90],
    ["steps", "n_steps", "128", 128],
  ] as const)("the slider %s sets the trait and follows it", async (name, trait, text, value) => {
    const { model, view } = await explained();
    choose(view.slider(name), text);
    expect(model.get(trait)).toBe(value);
    expect(model.saved.at(-1)?.[trait]).toBe(value);
    model.set(trait, name === "clip" ? 75 : 1);
    expect(view.slider(name).valueAsNumber).toBe(name === "clip" ? 75 : 1);
  });

  test.each([
    ["rule", "method", "gausslegendre", "riemann_left"],
    ["baseline", "baseline", "mean grey", "noise"],
    ["colormap", "colormap", "PuOr", "viridis"],
    ["sign", "sign", "negative", "positive"],
  ] as const)("the list %s sets the trait and follows it", async (name, trait, value, other) => {
    const { model, view } = await explained();
    choose(view.list(name), value);
    expect(model.get(trait)).toBe(value);
    expect(model.saved.at(-1)?.[trait]).toBe(value);
    model.set(trait, other);
    expect(view.list(name).value).toBe(other);
    expect(view.list(name).selectedOptions[0]?.text).toBe(other);
  });

  test("one cell of the secant rule is called what it is", async () => {
    const { model, view } = await explained({ n_steps: 1 });
    const said = () => view.slider("steps").closest("label")?.innerText.replaceAll(/\s+/g, " ");
    expect(said()).toBe("steps 1");
    model.set("method", "secant");
    expect(said()).toBe("steps 1: DeepLIFT");
    model.set("n_steps", 2);
    expect(said()).toBe("steps 2");
  });

  test("keys move a slider, and the notebook does not hear of them", async () => {
    const { model, view } = await explained({ alpha: 0.3 });
    const heard = vi.fn();
    document.addEventListener("keydown", heard);
    onTestFinished(() => document.removeEventListener("keydown", heard));
    view.slider("alpha").focus();
    await userEvent.keyboard("{ArrowRight}{ArrowRight}");
    expect(model.get("alpha")).toBeCloseTo(0.32, 10);
    expect(model.saved.at(-1)?.alpha).toBeCloseTo(0.32, 10);
    expect(heard).not.toHaveBeenCalled();
    expect(view.el.firstElementChild?.getAttribute("data-lm-suppress-shortcuts")).toBe("true");
  });

  test("every control and picture has a name, and there is one status line", async () => {
    const { view } = await explained();
    for (const name of ["alpha", "steps", "opacity", "clip"]) view.slider(name);
    for (const name of ["rule", "baseline", "target", "colormap", "sign"]) view.list(name);
    expect(view.cancel.textContent).toBe("Cancel");
    expect(view.status.getAttribute("aria-live")).toBe("polite");
    // The handles of the histogram.
    const handles = [...view.el.querySelectorAll('[role="slider"]')];
    for (const handle of handles) expect(handle.getAttribute("aria-label")).toMatch(/\w/);
    expect(handles).toHaveLength(2);
  });
});

describe("relatives of Integrated Gradients", () => {
  async function answered(path: string, plan: object = {}) {
    const host = new Host();
    const view = host.render();
    const begin = scene.begin(host.view, 1);
    host.model.receive(
      { ...begin, content: { ...begin.content, path } as never },
      scene.samples(host.view, 1),
      scene.plan(host.view, 1, plan),
      scene.done(host.view, 1),
    );
    await frame();
    return view;
  }

  test("draws have no path, no difference and no delta, and the same overlay", async () => {
    const view = await answered("draws", { delta: null, density: [], outputs: [[1, 9.31]] });
    const text = view.el.innerText.replaceAll(/\s+/g, " ");
    expect(text).toContain("No path: α is the share of the draws taken");
    expect(text).toContain("Input x, about which points are drawn");
    expect(text).toMatch(/difference F\(x\) − F\(x′\) n\/a/);
    expect(text).toContain("delta sum − difference not claimed");
    expect(view.el.querySelector(".igw-output, .igw-density")).toBeNull();
    expect(view.canvas.closest("[aria-label]")?.getAttribute("aria-label")).not.toContain("delta");
    expectDrawn(view, 1);
  });

  test("on a curved path the photo is no mixture, and F has its line", async () => {
    const view = await answered("curved");
    const photo = view.el.querySelector<HTMLElement>('[aria-label="input"] canvas:last-child');
    expect(photo?.style.opacity).toBe("1");
    expect(view.el.innerText).toContain("on a path that is no mixture");
    expect(view.el.querySelector("path.igw-output")).not.toBeNull();
  });
});

describe("the target", () => {
  function options(view: View, group: string): string[] {
    const found = view.list("target").querySelectorAll(`optgroup[label="${group}"] option`);
    return Array.from(found, ({ textContent }) => textContent ?? "");
  }

  test("lists the likeliest classes first, then the others by name, doubles with their index", async () => {
    const { model, view } = await explained();
    expect(options(view, "top classes")).toEqual(["Egyptian cat 76.1%", "lynx 12.0%"]);
    expect(options(view, "all classes")).toEqual(["crane (0)", "crane (3)"]);
    choose(view.list("target"), "3");
    expect(model.get("target")).toBe(3);
    model.set("_top", [[0, 0.9]]);
    expect(options(view, "all classes")).toEqual(["crane (3)", "Egyptian cat", "lynx"]);
    expect(view.list("target").value).toBe("3");
  });

  test("classes without labels are numbered", async () => {
    const { view } = await explained({ _labels: [], _n_classes: 12, _top: [], target: 2 });
    expect(options(view, "all classes").slice(0, 3)).toEqual(["class 0", "class 1", "class 2"]);
    expect(options(view, "all classes").at(-1)).toBe("class 11");
  });

  test("labels are text, whatever is in them, and cut where they are long", async () => {
    const markup = '<img src=x onerror="window.hacked = 1"><b>cat</b>';
    const { host, model, view } = await explained({
      _labels: [markup, "y".repeat(10_000)],
      _top: [[0, 0.5]],
      target: 0,
      _n_classes: 2,
    });
    model.receive({
      content: {
        ...scene.begin(host.view, 2, { target: 0 }).content,
        target_name: markup,
      } as never,
      buffers: scene.begin(host.view, 2).buffers,
    });
    model.receive(scene.plan(host.view, 2), failed(host.view, 2, "error", markup, markup));
    await frame();
    expect(view.el.querySelector("img, b")).toBeNull();
    expect(options(view, "top classes")[0]).toContain("<b>cat</b>");
    expect(options(view, "all classes")[0]?.length).toBeLessThan(100);
    expect(view.status.textContent).toContain(markup);
    expect(Reflect.get(window, "hacked")).toBeUndefined();
  });

  test("a thousand classes are built within a moment", () => {
    const labels = Array.from({ length: 1000 }, (_, i) => `class of things ${(i * 7919) % 1000}`);
    const host = new Host({ _labels: labels, _n_classes: 1000 });
    const start = performance.now();
    const view = host.render();
    expect(performance.now() - start).toBeLessThan(500);
    expect(view.list("target").options).toHaveLength(1000);
  });
});

describe("the status line", () => {
  test("begins with idle, computing, cancelled or failed, and names the renderer", async () => {
    const host = new Host();
    const { model } = host;
    const view = host.render();
    expect(view.status.textContent).toBe("idle · webgl2");
    expect(view.cancel.disabled).toBe(true);

    model.receive(scene.begin(host.view, 1));
    await expect.poll(() => view.status.textContent).toBe("computing 0 of 4 · webgl2");
    expect(view.cancel.disabled).toBe(false);
    view.cancel.click();
    expect(model.sent.at(-1)).toEqual({ type: "cancel", view: host.view, request: 1 });

    model.receive(failed(host.view, 1, "cancelled"));
    await expect.poll(() => view.status.textContent).toBe("cancelled · webgl2");
    expect(view.cancel.disabled).toBe(true);

    model.receive(failed(host.view, 2, "error", "The gradient is NaN.", "Use float64."));
    await expect
      .poll(() => view.status.textContent)
      .toBe("failed: The gradient is NaN. Use float64. · webgl2");
  });
});

describe("traits while dragging", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
  });

  function drag(view: View, name: string, values: readonly number[]): void {
    for (const value of values) {
      view.slider(name).valueAsNumber = value;
      view.slider(name).dispatchEvent(new Event("input", { bubbles: true }));
      vi.advanceTimersByTime(10);
    }
  }

  test("alpha is drawn at each move, saved now and then, and at once when let go", () => {
    const host = new Host({ alpha: 0 });
    const view = host.render();
    const moves = Array.from({ length: 50 }, (_, i) => (i + 1) / 100);
    drag(view, "alpha", moves);
    expect(view.slider("alpha").valueAsNumber).toBe(0.5);
    expect(host.model.saved.length).toBe(2);
    view.slider("alpha").dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    expect(host.model.saved.at(-1)?.alpha).toBe(0.5);
    expect(host.model.sent).toHaveLength(1);
  });

  test("alpha does not jump back when the kernel repeats what it was sent a while ago", () => {
    const host = new Host({ alpha: 0 });
    const views = [host.render(), host.render()];
    const values = () => views.map((view) => view.slider("alpha").valueAsNumber);
    drag(views[0] as View, "alpha", [0.1, 0.2, 0.3]);
    expect(host.model.saved.map(({ alpha }) => alpha)).toEqual([0.1]);
    host.model.set("alpha", 0.05); // as a model takes up what it believes to be news
    host.model.set("alpha", 0.1);
    expect(values()).toEqual([0.3, 0.3]);
    vi.advanceTimersByTime(500);
    expect(host.model.saved.map(({ alpha }) => alpha)).toEqual([0.1, 0.3]);
    host.model.set("alpha", 0.7); // news indeed: nothing waits to be saved
    expect(values()).toEqual([0.7, 0.7]);
  });

  test("dragging steps asks the kernel now and then, and for the last value always", () => {
    const host = new Host({ n_steps: 1 });
    const view = host.render();
    drag(
      view,
      "steps",
      Array.from({ length: 40 }, (_, i) => i + 2),
    );
    expect(host.model.saved.length).toBe(2);
    view.slider("steps").dispatchEvent(new Event("change", { bubbles: true }));
    expect(host.model.get("n_steps")).toBe(41);
    expect(host.model.saved.at(-1)?.n_steps).toBe(41);
  });

  test("what was not saved yet is saved when the widget goes", () => {
    const host = new Host({ alpha: 0 });
    drag(host.render(), "alpha", [0.1, 0.2, 0.3]);
    host.close();
    expect(host.model.saved.at(-1)?.alpha).toBe(0.3);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("views", () => {
  test("of one model show the same, and closing one leaves the other alive", async () => {
    const contexts = watchContexts();
    const { host, model, view: first } = await explained();
    const second = host.render();
    choose(first.slider("alpha"), "0.4");
    await frame();
    expect(second.slider("alpha").value).toBe("0.4");
    expectDrawn(second, 0.4);
    first.close();
    expect(first.el.childElementCount).toBe(0);
    expect(contexts.map((context) => context.isContextLost())).toEqual([true, false]);
    choose(second.slider("alpha"), "0.7");
    await frame();
    expectDrawn(second, 0.7);
    expect(model.sent.filter(({ type }) => type === "want")).toHaveLength(1);
  });

  test("leave no listener on the model", async () => {
    const { host, model, view } = await explained();
    const before = model.listenerCount;
    host.render().close();
    expect(model.listenerCount).toBe(before);
    host.close();
    expect(model.listenerCount).toBe(0);
    expect(view.el.childElementCount).toBe(0);
  });

  test("made twenty times in a row use up no WebGL context", async () => {
    const contexts = watchContexts();
    const { host, view } = await explained();
    for (let i = 0; i < 20; i++) host.render().close();
    await frame();
    expect(contexts[0]?.isContextLost()).toBe(false);
    expectDrawn(view, 1);
  });
});
