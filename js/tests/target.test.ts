import { describe, expect, test } from "vitest";
import { userEvent } from "vitest/browser";
import { isMeaning, type Meaning, PLAIN, split, targetAt } from "../src/core/target.js";
import { explained, scene } from "./support/explained.js";
import { explainedRow } from "./support/explained_row.js";
import { defaults } from "./support/fake_model.js";
import { choose, frame, optionsOf, pick, type View } from "./support/mount.js";

const meaning = (more: Partial<Meaning>): Meaning => ({ ...PLAIN, ...more });
const LABELS = ["great white shark", "Egyptian cat", "café", "white wolf", "sea lion", "catamaran"];
const names = (view: View) =>
  optionsOf(view.search("target")).map((line) => line.firstElementChild?.textContent);
const active = (view: View) => {
  const id = view.search("target").getAttribute("aria-activedescendant");
  return id === null ? null : document.getElementById(id)?.firstElementChild?.textContent;
};

async function searched(traits: Parameters<typeof explained>[0] = {}) {
  const made = await explained({
    _labels: LABELS,
    _n_classes: LABELS.length,
    _top: [
      [1, 0.6],
      [3, 0.3],
    ],
    ...traits,
  });
  const field = made.view.search("target");
  return { ...made, field };
}

describe("the list of targets", () => {
  test("is a combobox over a listbox, closed until it is used", async () => {
    const { field, view } = await searched();
    expect(field.value).toBe("Egyptian cat");
    expect(field.getAttribute("aria-expanded")).toBe("false");
    const list = document.getElementById(field.getAttribute("aria-controls") ?? "");
    expect(list?.role).toBe("listbox");
    expect(list?.checkVisibility()).toBe(false);
    field.click();
    expect(field.getAttribute("aria-expanded")).toBe("true");
    expect(list?.checkVisibility()).toBe(true);
    expect(active(view)).toBe("Egyptian cat");
    const chosen = list?.querySelectorAll('[role="option"][aria-selected="true"]');
    expect(Array.from(chosen ?? [], (line) => line.textContent)).toEqual(["Egyptian cat60.0%"]);
  });

  test.each([
    ["cat", ["catamaran", "Egyptian cat"]],
    ["WHITE", ["white wolf", "great white shark"]],
    ["shark great", ["great white shark"]],
    ["cafe", ["café"]],
    ["4", ["sea lion"]],
    ["zebra", []],
  ])("typing %s finds %j", async (typed, found) => {
    const { field, view } = await searched();
    await userEvent.fill(field, typed);
    expect(names(view)).toEqual(found);
    expect(view.text.includes("Nothing is called so.")).toBe(found.length === 0);
    expect(active(view)).toBe(found[0] ?? null);
  });

  test("Enter takes what is found first, and the kernel is told at once", async () => {
    const { field, model } = await searched();
    await userEvent.fill(field, "sea");
    await userEvent.keyboard("{Enter}");
    expect(model.saved.at(-1)?.target).toBe(4);
    expect([field.value, field.getAttribute("aria-expanded")]).toEqual(["sea lion", "false"]);
    expect(document.activeElement).toBe(field);
  });

  test("arrows move through the list, and no further than its ends", async () => {
    const { field, model, view } = await searched();
    field.focus();
    await userEvent.keyboard("{ArrowDown}{ArrowDown}");
    expect(active(view)).toBe("white wolf");
    await userEvent.keyboard("{ArrowDown}");
    expect(active(view)).toBe("café");
    await userEvent.keyboard("{PageDown}{ArrowDown}");
    expect(active(view)).toBe("sea lion");
    await userEvent.keyboard("{PageUp}{PageUp}{ArrowUp}");
    expect(active(view)).toBe("Egyptian cat");
    await userEvent.keyboard("{ArrowDown}{Enter}");
    expect(model.get("target")).toBe(3);
  });

  test("Escape and leaving put the chosen name back", async () => {
    const { field, model } = await searched();
    await userEvent.fill(field, "sea");
    await userEvent.keyboard("{Escape}");
    expect([field.value, field.getAttribute("aria-expanded")]).toEqual(["Egyptian cat", "false"]);
    await userEvent.fill(field, "zebra");
    await userEvent.keyboard("{Enter}{Tab}");
    expect([field.value, field.getAttribute("aria-expanded")]).toEqual(["Egyptian cat", "false"]);
    expect(model.get("target")).toBe(1);
  });

  test("what Python chooses is shown, and what is typed meanwhile stays", async () => {
    const { field, model } = await searched();
    model.set("target", 2);
    expect(field.value).toBe("café");
    await userEvent.fill(field, "sea");
    model.set("target", 5);
    expect(field.value).toBe("sea");
    await userEvent.keyboard("{Escape}");
    expect(field.value).toBe("catamaran");
  });

  test("a long list is made as far as one looks", async () => {
    const count = 1000;
    const { field, view } = await searched({ _labels: [], _n_classes: count, _top: [], target: 0 });
    field.focus();
    field.click();
    expect(names(view).length).toBeLessThan(150);
    const list = document.getElementById(field.getAttribute("aria-controls") ?? "");
    for (let i = 0; i < 20 && list !== null; i++) {
      list.scrollTop = list.scrollHeight;
      await frame();
    }
    expect(list?.querySelectorAll('[role="option"]')).toHaveLength(count);
    await userEvent.fill(field, "class 777");
    expect(names(view)).toEqual(["class 777"]);
  });

  test("the list is seen whole, whatever holds the field cuts off", async () => {
    const { field, view } = await searched();
    const holder = view.el.querySelector<HTMLElement>(".igw-target")?.parentElement;
    Object.assign(holder?.style ?? {}, { height: "44px", overflow: "hidden" });
    field.focus();
    field.click();
    const line = optionsOf(field).at(-1);
    const { left: x = 0, top: y = 0 } = line?.getBoundingClientRect() ?? {};
    expect(document.elementFromPoint(x + 5, y + 5)?.closest('[role="option"]')).toBe(line);
    const popup = field.parentElement?.querySelector(".igw-popup")?.getBoundingClientRect();
    const { bottom, left } = field.getBoundingClientRect();
    expect([Math.round(popup?.top ?? 0), popup?.left]).toEqual([Math.round(bottom + 2), left]);
  });

  test("nothing is left of it when the view closes", async () => {
    const { field, model, view } = await searched();
    field.click();
    view.close();
    expect(field.getAttribute("aria-expanded")).toBe("false");
    field.click();
    expect(field.getAttribute("aria-expanded")).toBe("false");
    model.set("target", 3);
    expect(field.value).toBe("Egyptian cat");
  });
});

describe("what scores mean", () => {
  const shown = (view: View) => view.el.querySelector<HTMLElement>(".igw-assumed");

  test("what is assumed is said, with what changes it", async () => {
    const said = "Nothing tells; give scores=.";
    const { model, view } = await searched({ _scores: meaning({ assumed: true, said }) });
    expect(shown(view)?.innerText).toBe("soft-max assumed");
    expect(shown(view)?.title).toBe(said);
    model.set("_scores", meaning({ kind: "sigmoid", said }));
    expect(shown(view)?.checkVisibility()).toBe(false);
  });

  test("raw scores are told as values, with no percentage", async () => {
    const { view } = await searched({
      _labels: [],
      _n_classes: 3,
      _top: [
        [2, -12.5],
        [0, 3.25],
      ],
      _scores: meaning({ kind: "raw", word: "output" }),
      _outputs: ["value"],
      output: "value",
      target: 2,
    });
    const lines = optionsOf(view.search("target")).map(({ textContent }) => textContent);
    expect(lines).toEqual(["output 2−12.5", "output 03.25", "output 1"]);
    expect(view.search("target").value).toBe("output 2");
    expect(view.el.querySelector(".igw-target")?.textContent).not.toContain("%");
  });

  const single = { _labels: [], _n_classes: 1, target: 0 };

  test("a single sigmoid is one line with its percentage", async () => {
    const sigmoid = meaning({ kind: "sigmoid", word: "output" });
    const { view } = await explainedRow({ ...single, _top: [[0, 0.54]], _scores: sigmoid });
    expect(view.search("target").checkVisibility()).toBe(false);
    expect(view.el.querySelector<HTMLElement>(".igw-target")?.innerText).toContain("output 54.0%");
  });

  test("a number of unknown meaning says so; one that is known to be a number has no target", async () => {
    const raw = meaning({ kind: "raw", word: "output", assumed: true, said: "scores='sigmoid'" });
    const { model, view } = await explainedRow({ ...single, _top: [[0, 0.16]], _scores: raw });
    const target = view.el.querySelector<HTMLElement>(".igw-target");
    expect(target?.innerText.replaceAll(/\s+/g, " ")).toBe("target read as a number output 0.160");
    model.set("_scores", meaning({ kind: "raw", word: "output" }));
    expect(target?.checkVisibility()).toBe(false);
  });
});

describe("a dense output", () => {
  const grid = meaning({ places: [10, 14], axis: 0 });

  test.each([
    [PLAIN, 3, 3, []],
    [grid, "2, 4, 6", 2, [4, 6]],
    [meaning({ places: [7], axis: 1 }), "6, 2", 2, [6]],
    [meaning({ places: [10, 14], axis: null }), "4, 6", 0, [4, 6]],
    [meaning({ places: [2, 3, 4], axis: 2 }), "1, 2, 9, 3", 9, [1, 2, 3]],
  ] as const)("targets are taken apart and put together: %j %s", (kind, target, index, place) => {
    expect(isMeaning(kind)).toBe(true);
    expect(split(target, kind)).toEqual({ index, place });
    expect(targetAt(index, place, kind)).toBe(target);
  });

  test.each(["", "cat", "1, 2", "1, 2, 3, 4", "1, -2, 3", "1, 2.5, 3"])(
    "%j is no position",
    (target) => {
      expect(split(target, grid)).toEqual({ index: undefined, place: [] });
    },
  );

  test("a class is chosen at the same place, and a place for the same class", async () => {
    const { field, model, view } = await searched({ _scores: grid, target: "1, 4, 6" });
    expect(field.value).toBe("Egyptian cat at (4, 6)");
    pick(field, "3");
    expect(model.saved.at(-1)?.target).toBe("3, 4, 6");
    field.focus();
    field.click();
    const row = view.el.querySelector<HTMLInputElement>('[aria-label="row that is explained"]');
    if (row === null) throw new Error("no row");
    expect(row.value).toBe("4");
    // The list stays open while a field below it is used.
    row.focus();
    expect(row.checkVisibility()).toBe(true);
    choose(row, "7");
    expect(model.saved.at(-1)?.target).toBe("3, 7, 6");
    choose(row, "99");
    expect(model.saved.at(-1)?.target).toBe("3, 9, 6");
    expect(row.value).toBe("9");
    choose(row, "");
    expect([model.get("target"), row.value]).toEqual(["3, 9, 6", "9"]);
    await userEvent.keyboard("{Escape}");
    expect(document.activeElement).toBe(field);
    expect(row.checkVisibility()).toBe(false);
    expect(field.value).toBe("white wolf at (9, 6)");
  });

  test("a click on the picture explains the place below it, once", async () => {
    const { model, view } = await searched({ _scores: grid, target: "1, 0, 0" });
    const button = view.button("choose the pixel to explain");
    button.click();
    expect(button.getAttribute("aria-pressed")).toBe("true");
    // The picture has 7 x 5 pixels, the output a place for each quarter of one.
    const layer = view.overlay.firstElementChild?.getBoundingClientRect() as DOMRect;
    const at = (x: number, y: number) => ({
      clientX: layer.left + x * layer.width,
      clientY: layer.top + y * layer.height,
      bubbles: true,
      cancelable: true,
    });
    view.overlay.dispatchEvent(new MouseEvent("click", at(6.5 / 14, 7.5 / 10)));
    expect(model.saved.at(-1)?.target).toBe("1, 7, 6");
    expect(button.getAttribute("aria-pressed")).toBe("false");
    const frame = view.el.querySelector<HTMLElement>(".igw-place");
    expect(frame?.style.top).toBe("70%");
    expect(frame?.checkVisibility()).toBe(true);
    view.overlay.dispatchEvent(new MouseEvent("click", at(0.1, 0.1)));
    expect(model.get("target")).toBe("1, 7, 6");
    expect(model.get("_regions")).toEqual([]);
  });

  test("so does Enter at the cross-hair; Escape and a second press end it", async () => {
    const { host, model, view } = await searched({ _scores: grid, target: "1, 0, 0" });
    model.receive(...scene.answer(host.view, 2, { target: "1, 0, 0" }));
    await frame();
    const button = view.button("choose the pixel to explain");
    button.click();
    await userEvent.keyboard("{ArrowRight}{Enter}");
    // From the middle of 7 x 5 pixels one to the right.
    expect(model.get("target")).toBe("1, 5, 9");
    for (const end of [() => userEvent.keyboard("{Escape}"), async () => button.click()]) {
      button.click();
      await end();
      expect(button.getAttribute("aria-pressed")).toBe("false");
    }
  });

  test("other outputs have neither button nor frame", async () => {
    const { model, view } = await searched();
    const button = view.button("choose the pixel to explain");
    expect(button.checkVisibility()).toBe(false);
    expect(view.el.querySelector(".igw-place")?.checkVisibility()).toBe(false);
    model.set("_scores", meaning({ places: [7], axis: 1 }));
    model.set("target", "3, 1");
    expect(button.checkVisibility()).toBe(false);
    expect(view.el.querySelector('[aria-label="place that is explained"]')).not.toBeNull();
  });
});

test("a kernel that says nothing of scores is taken for a classifier", async () => {
  expect(isMeaning({})).toBe(true);
  expect(isMeaning(defaults()._scores)).toBe(true);
  for (const wrong of [null, 3, { places: [-1] }, { axis: "0" }, { kind: 1 }])
    expect(isMeaning(wrong)).toBe(false);
});
