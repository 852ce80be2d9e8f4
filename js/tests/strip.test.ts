import { expect, test } from "vitest";
import { frame, Host, type View } from "./support/mount.js";
import { traitsOf } from "./support/strip.js";

const names = ["a.png", "<b>two</b>", "c.png", "d.png"];
const buttons = (view: View) => [
  ...view.el.querySelectorAll<HTMLButtonElement>('[aria-label="pictures"] button'),
];
const strip = (view: View) => view.el.querySelector<HTMLElement>(".igw-inputs") as HTMLElement;
const current = (view: View) => buttons(view).findIndex((one) => one.matches("[aria-current]"));

test("one picture has no strip, and takes no room for it", async () => {
  const host = new Host();
  const view = host.render();
  expect(strip(view).hidden).toBe(true);
  expect(view.el.querySelector("[data-strip]")).toBeNull();
  host.model.set("_inputs", names);
  host.model.set("input", "c.png");
  await frame();
  expect(strip(view).hidden).toBe(false);
  expect(view.el.querySelector("[data-strip]")).not.toBeNull();
  expect(current(view)).toBe(2);
});

test("each is shown by a click, its neighbours by buttons, the ends and the next by keys", () => {
  const host = new Host({ _inputs: names, input: "a.png" });
  const view = host.render();
  const shown = () => [host.model.saved.at(-1)?.input, current(view)];
  buttons(view)[2]?.click();
  expect(shown()).toEqual(["c.png", 2]);
  view.button("next picture").click();
  expect(shown()).toEqual(["d.png", 3]);
  view.button("next picture").click();
  expect(current(view)).toBe(3);
  view.button("previous picture").click();
  expect(shown()).toEqual(["c.png", 2]);
  const press = (key: string) => {
    const target = buttons(view)[current(view)] as HTMLElement;
    target.focus();
    for (const type of ["keydown", "keyup"])
      target.dispatchEvent(new KeyboardEvent(type, { key, bubbles: true, cancelable: true }));
    return [...shown(), buttons(view).indexOf(document.activeElement as HTMLButtonElement)];
  };
  expect(press("Home")).toEqual(["a.png", 0, 0]);
  expect(press("ArrowRight")).toEqual([names[1], 1, 1]);
  expect(press("End")).toEqual(["d.png", 3, 3]);
  expect(press("ArrowLeft")).toEqual(["c.png", 2, 2]);
  expect(strip(view).textContent).toContain("3 of 4");
});

test("names are text, as tooltips; of all buttons one is reached by the tabulator", () => {
  const view = new Host({ _inputs: names, input: "c.png" }).render();
  expect(buttons(view).map(({ title }) => title)).toEqual(names);
  expect(strip(view).querySelector("b")).toBeNull();
  expect(buttons(view).filter(({ tabIndex }) => tabIndex === 0)).toHaveLength(1);
});

test("small pictures are asked for where they are in view, and shown; a broken one is passed over", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `${i}.png`);
  const host = new Host({ _inputs: many, input: "0.png" });
  const view = host.render();
  await frame();
  expect(host.model.get("_strip")).toBe(0);
  host.model.set("_thumbnails", traitsOf(many.slice(0, 48), "1.png"));
  await frame();
  expect(buttons(view)[0]?.querySelector("img")?.src).toMatch(/^blob:/);
  expect(buttons(view)[1]?.disabled).toBe(true);
  view.button("next picture").click();
  expect(host.model.get("input")).toBe("2.png");
  // Python goes far away: the strip follows, and asks for what is there.
  host.model.set("input", "250.png");
  await frame();
  await frame();
  expect(host.model.get("_strip")).toBeGreaterThan(200);
  expect(host.model.get("_strip")).toBeLessThan(251);
});

test("of very many pictures those around the one that is shown have buttons", async () => {
  const many = Array.from({ length: 5000 }, (_, i) => `${i}.png`);
  const host = new Host({ _inputs: many, input: "0.png" });
  const view = host.render();
  expect(buttons(view)).toHaveLength(1000);
  host.model.set("input", "4000.png");
  await frame();
  expect(buttons(view)).toHaveLength(1000);
  expect(buttons(view)[current(view)]?.title).toBe("4000.png");
  expect(strip(view).textContent).toContain("4001 of 5000");
});

test("which channels are drawn can be chosen where there are many", () => {
  const host = new Host({ _channels: ["sum", "0", "1", "2", "3"] });
  const view = host.render();
  const list = view.list("photo");
  expect([...list.options].map(({ value }) => value)).toEqual(["", "0, 1, 2", "0", "1", "2", "3"]);
  list.value = "3";
  list.dispatchEvent(new Event("change"));
  expect(host.model.saved.at(-1)?.shown_channels).toBe("3");
  host.model.set("shown_channels", "mean");
  expect(list.value).toBe("mean");
  host.model.set("_channels", ["sum", "red", "green", "blue"]);
  expect(list.closest("label")?.hidden).toBe(true);
});
