import { describe, expect, test } from "vitest";
import { userEvent } from "vitest/browser";
import { explained } from "./support/explained.js";
import { choose, frame } from "./support/mount.js";

async function opened(traits: Parameters<typeof explained>[0] = {}) {
  const made = await explained(traits);
  await made.view.unfold("Compare");
  return made;
}

function field(view: Awaited<ReturnType<typeof opened>>["view"], name: string): HTMLInputElement {
  const found = view.el.querySelector<HTMLInputElement>(`input[aria-label="${name}"]`);
  if (found === null) throw new Error(`no field is called ${name}`);
  return found;
}

describe("panes to compare", () => {
  test("adding one takes the first baseline that no pane has, and is saved", async () => {
    const { model, view } = await opened({ baseline: "black" });
    view.button("add a pane").click();
    expect(model.get("_panes")).toEqual([{}, { baseline: "white" }]);
    expect(model.saved.at(-1)?._panes).toEqual([{}, { baseline: "white" }]);
    view.button("add a pane").click();
    expect(model.get("_panes").at(-1)).toEqual({ baseline: "mean grey" });
    expect(view.list("baseline of pane 3").value).toBe("mean grey");
  });

  test("there are at most four, and the focus stays among them", async () => {
    const { model, view } = await opened();
    view.button("add a pane").focus();
    for (let i = 0; i < 5; i++) view.button("add a pane").click();
    expect(model.get("_panes")).toHaveLength(4);
    expect(view.button("add a pane").disabled).toBe(true);
    await frame();
    expect(view.el.contains(document.activeElement)).toBe(true);
    view.button("remove pane 3").click();
    expect(view.button("add a pane").disabled).toBe(false);
  });

  test.each([
    ["baseline", "baseline", "blur", "blur"],
    ["target", "target", "2", 2],
    ["output", "output", "margin", "margin"],
    ["rule", "method", "riemann_left", "riemann_left"],
  ] as const)(
    "the list %s sets that pane's %s, and takes it back",
    async (name, key, text, value) => {
      const { model, view } = await opened({ _panes: [{}, { tol: 0.1 }, { baseline: "white" }] });
      choose(view.list(`${name} of pane 2`), text);
      const panes = [{}, { tol: 0.1, [key]: value }, { baseline: "white" }];
      expect(model.get("_panes")).toEqual(panes);
      expect(model.saved.at(-1)?._panes).toEqual(panes);
      const list = view.list(`${name} of pane 2`);
      expect(list.value).toBe(text);
      expect(list.options[0]?.text).toBe("as the first");
      choose(list, "");
      expect(model.get("_panes")).toEqual([{}, { tol: 0.1 }, { baseline: "white" }]);
      expect(view.list(`${name} of pane 2`).selectedOptions[0]?.text).toBe("as the first");
    },
  );

  test("steps are a number, or empty as the first", async () => {
    const { model, view } = await opened({ _panes: [{}, {}] });
    choose(field(view, "steps of pane 2"), "32");
    expect(model.get("_panes")).toEqual([{}, { n_steps: 32 }]);
    expect(field(view, "steps of pane 2").value).toBe("32");
    choose(field(view, "steps of pane 2"), "");
    expect(model.get("_panes")).toEqual([{}, {}]);
  });

  test.each([
    ["0", 1],
    ["-3", 1],
    ["2.6", 3],
    ["1000", 256],
  ])("steps of %s, which no rule has, become %d", async (typed, n_steps) => {
    const { model, view } = await opened({ _panes: [{}, {}] });
    choose(field(view, "steps of pane 2"), typed);
    expect(model.get("_panes")).toEqual([{}, { n_steps }]);
    expect(field(view, "steps of pane 2").value).toBe(String(n_steps));
  });

  test("what Python has asked for is in the lists, whatever it is", async () => {
    const { view } = await opened({ _panes: [{}, { baseline: "blur(sigma=8)", target: 3 }] });
    expect(view.list("baseline of pane 2").value).toBe("blur(sigma=8)");
    expect(view.list("target of pane 2").value).toBe("3");
  });

  test("removing one takes that one, and the focus is not lost", async () => {
    const panes = [{}, { baseline: "white" }, { baseline: "blur" }, { baseline: "noise" }];
    const { model, view } = await opened({ _panes: panes });
    view.button("remove pane 3").focus();
    await userEvent.keyboard("{Enter}");
    expect(model.get("_panes")).toEqual([{}, { baseline: "white" }, { baseline: "noise" }]);
    expect(model.saved.at(-1)?._panes).toHaveLength(3);
    expect(document.activeElement).toBe(view.button("add a pane"));
  });

  test("the list that is being used keeps the focus as the others are made anew", async () => {
    const { model, view } = await opened({ _panes: [{}, {}] });
    const list = view.list("rule of pane 2");
    list.focus();
    choose(list, "gausslegendre");
    expect(document.activeElement).toBe(view.list("rule of pane 2"));
    model.set("_baselines", ["black", "photo.png"]);
    expect(document.activeElement).toBe(view.list("rule of pane 2"));
    expect(view.list("baseline of pane 2").textContent).toContain("photo.png");
  });

  test("names are text, whatever is in them", async () => {
    const markup = "<img src=x onerror=alert(1)>";
    const { view } = await opened({ _panes: [{}, { baseline: markup }], _baselines: [markup] });
    expect(view.list("baseline of pane 2").value).toBe(markup);
    expect(view.text).toContain(`baseline ${markup.slice(0, 20)}`);
    expect(view.el.querySelector("img")).toBeNull();
  });
});
