import { afterEach, describe, expect, test, vi } from "vitest";
import { parseBaseline, withValue } from "../src/panels/baseline_text.js";
import type { Card } from "../src/panels/baselines.js";
import { explained } from "./support/explained.js";
import { choose, type View } from "./support/mount.js";

/** A PNG of one pixel. */
const PNG = Uint8Array.from(
  atob(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  ),
  (character) => character.charCodeAt(0),
);

function card(name: string, more: Partial<Card> = {}): Card {
  return {
    name,
    description: name,
    output: -1.234,
    top: [
      ["Egyptian cat", 0.41],
      ["lynx", 0.3],
      ["crane", 0.1],
    ],
    entropy: [1.83, 2],
    neutral: true,
    parameters: [],
    thumbnail: new DataView(PNG.buffer),
    ...more,
  };
}

const sigma = (value: number) => ({
  name: "sigma",
  value,
  low: 0.5,
  high: 50,
  step: 0.5,
  unit: "px",
});
const seed = (value: number) => ({ name: "seed", value, low: 0, high: 999, step: 1, unit: "" });
const spread = (value: number) => ({ ...sigma(value), low: 0.05, high: 2, step: 0.05, unit: "" });
const cards = [
  card("black", { neutral: false, top: [["tench", 0.93]] }),
  card("white"),
  card("blur", { parameters: [sigma(10)] }),
  card("colour", { parameters: [{ name: "value", colour: "#808080" }] }),
  card("gaussian noise", { parameters: [spread(0.5), seed(0)] }),
];

async function opened(traits: Parameters<typeof explained>[0] = {}) {
  const made = await explained({ _cards: cards, ...traits });
  const panel = await made.view.unfold("Baselines");
  return { ...made, panel };
}

/** What a person reads on the card of a baseline. */
function read(view: View, name: string): string {
  const text = view.button(`baseline ${name}`).parentElement?.innerText ?? "";
  return text.replaceAll(/\s+/g, " ");
}

function input(view: View, name: string): HTMLInputElement {
  const found = view.el.querySelector<HTMLInputElement>(`input[aria-label="${name}"]`);
  if (found === null) throw new Error(`nothing is called ${name}`);
  return found;
}

function drag(element: HTMLInputElement, value: string): void {
  element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
}

function files(...given: File[]): DataTransfer {
  const transfer = new DataTransfer();
  for (const file of given) transfer.items.add(file);
  return transfer;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a baseline's text", () => {
  test.each([
    ["black", "black", {}],
    ["max distance", "max distance", {}],
    ["blur(sigma=8)", "blur", { sigma: "8" }],
    ["gaussian noise( sigma = 0.25 , seed=2 )", "gaussian noise", { sigma: "0.25", seed: "2" }],
    ["colour(#ff8800)", "colour", { value: "#ff8800" }],
    ["", "", {}],
    ["photo, 2.png", "photo, 2.png", {}],
  ])("%s is a name and values", (text, name, values) => {
    const parsed = parseBaseline(text);
    expect(parsed.name).toBe(name);
    expect(Object.fromEntries(parsed.values)).toEqual(values);
  });

  test.each([
    ["blur", "sigma", "8", "blur(sigma=8)"],
    ["blur(sigma=8)", "sigma", "3.5", "blur(sigma=3.5)"],
    ["gaussian noise(sigma=0.25)", "seed", "2", "gaussian noise(sigma=0.25, seed=2)"],
    ["colour", "value", "#ff8800", "colour(#ff8800)"],
    ["colour(#000000)", "value", "#ff8800", "colour(#ff8800)"],
  ])("%s with %s %s is %s, and reads back as that", (text, name, value, expected) => {
    const changed = withValue(text, name, value);
    expect(changed).toBe(expected);
    expect(parseBaseline(changed).name).toBe(parseBaseline(text).name);
    expect(parseBaseline(changed).values.get(name)).toBe(value);
    // What was set before is as it was.
    for (const [key, own] of parseBaseline(text).values)
      if (key !== name) expect(parseBaseline(changed).values.get(key)).toBe(own);
    expect(withValue(changed, name, value)).toBe(changed);
  });
});

describe("the gallery", () => {
  test("asks the kernel once as it is opened, and not before", async () => {
    const { model, view, host } = await explained();
    expect(model.all("request")).toEqual([]);
    await view.unfold("Baselines");
    await vi.waitFor(() => expect(model.all("request")).toHaveLength(1));
    expect(model.all("request")[0]?.view).toBe(host.view);
    expect(view.text).toContain("asking the model");
    model.set("_cards", cards);
    expect(view.text).not.toContain("asking the model");
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(model.all("request")).toHaveLength(1);
  });

  test("asks anew where target, output or the offer change, once that is known to the kernel", async () => {
    const { model, view } = await opened();
    await vi.waitFor(() => expect(model.all("request")).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 700));
    // Of each, what had been saved and asked when it was sent.
    const order: string[] = [];
    vi.spyOn(model, "save_changes").mockImplementation(() => void order.push("save"));
    vi.spyOn(model, "send").mockImplementation((message) => void order.push(message.type));
    choose(view.list("target"), "2");
    await vi.waitFor(() => expect(order).toContain("request"));
    expect(order.indexOf("save")).toBeGreaterThanOrEqual(0);
    expect(order.indexOf("save")).toBeLessThan(order.indexOf("request"));
  });

  test("says of each baseline what the model makes of it, and warns of one that is something", async () => {
    const { view } = await opened();
    const white = read(view, "white");
    for (const part of ["F(x′) −1.23", "Egyptian cat 41%", "lynx 30%", "crane 10%"])
      expect(white).toContain(part);
    expect(white).toContain("entropy 1.8 of 2.0 bits");
    expect(white).not.toContain("not neutral");
    expect(read(view, "black")).toContain("not neutral: the model calls it “tench” 0.93");
  });

  test("a click chooses, at once, and the one that is chosen is pressed", async () => {
    const { model, view } = await opened();
    const pressed = () =>
      [...view.el.querySelectorAll('button[aria-pressed="true"][aria-label^="baseline "]')].map(
        (button) => button.getAttribute("aria-label"),
      );
    expect(pressed()).toEqual(["baseline black"]);
    view.button("baseline white").click();
    expect(model.get("baseline")).toBe("white");
    expect(model.saved.at(-1)?.baseline).toBe("white");
    expect(pressed()).toEqual(["baseline white"]);
    model.set("baseline", "blur(sigma=3)");
    expect(pressed()).toEqual(["baseline blur"]);
    expect(input(view, "sigma of blur").value).toBe("3");
    expect(read(view, "blur")).toContain("3 px");
  });

  test("of one kind the card that is asked for is shown, as it is set", async () => {
    const { model, view } = await opened({ baseline: "blur(sigma=8)" });
    model.set("_cards", [...cards, card("blur(sigma=8)", { output: 7.5, parameters: [sigma(8)] })]);
    expect(read(view, "blur(sigma=8)")).toContain("F(x′) 7.50");
    expect(view.el.querySelectorAll('input[aria-label="sigma of blur"]')).toHaveLength(1);
    expect(input(view, "sigma of blur").value).toBe("8");
  });

  test("dragging sigma asks often but saves at most each 120 ms, and the last at once", async () => {
    const { model, view } = await opened();
    const slider = input(view, "sigma of blur");
    vi.useFakeTimers();
    const before = model.saved.length;
    const seen = new Set<string>();
    for (let value = 1; value <= 40; value++) {
      drag(slider, String(value));
      seen.add(view.list("baseline").value);
      vi.advanceTimersByTime(15);
    }
    // Every one is heard of on the page.
    expect([...seen]).toEqual(Array.from({ length: 40 }, (_, i) => `blur(sigma=${i + 1})`));
    const saves = model.saved.slice(before).map(({ baseline }) => baseline);
    expect(saves[0]).toBe("blur(sigma=1)");
    expect(saves.length).toBeGreaterThanOrEqual(4);
    expect(saves.length).toBeLessThanOrEqual(2 + 600 / 120);
    expect(new Set(saves).size).toBe(saves.length);
    choose(slider, "40.5");
    expect(model.saved.at(-1)?.baseline).toBe("blur(sigma=40.5)");
  });

  test("two parameters of one baseline are kept beside each other, also where Python has set one", async () => {
    const { model, view } = await opened();
    choose(input(view, "sigma of gaussian noise"), "0.25");
    choose(input(view, "seed of gaussian noise"), "7");
    expect(model.get("baseline")).toBe("gaussian noise(sigma=0.25, seed=7)");
    model.set("baseline", "gaussian noise(sigma=1.5)");
    choose(input(view, "seed of gaussian noise"), "3");
    expect(model.get("baseline")).toBe("gaussian noise(sigma=1.5, seed=3)");
  });

  test("cards that come late do not take a slider back from whoever has gone on", async () => {
    const { model, view } = await opened();
    input(view, "sigma of blur").focus();
    choose(input(view, "sigma of blur"), "8");
    choose(input(view, "sigma of blur"), "9");
    // The kernel has answered the 8.
    model.set("_cards", [...cards, card("blur(sigma=8)", { parameters: [sigma(8)] })]);
    const slider = input(view, "sigma of blur");
    expect(document.activeElement).toBe(slider);
    expect(slider.value).toBe("9");
    expect(model.get("baseline")).toBe("blur(sigma=9)");
  });

  test("cards that come while a slider is dragged wait until it is let go", async () => {
    const { model, view } = await opened();
    const slider = input(view, "sigma of blur");
    drag(slider, "8");
    model.set("_cards", [...cards, card("blur(sigma=8)", { output: 7.5, parameters: [sigma(8)] })]);
    expect(slider.isConnected).toBe(true);
    drag(slider, "8");
    choose(slider, "8");
    expect(read(view, "blur(sigma=8)")).toContain("F(x′) 7.50");
  });

  test("a colour is chosen on its card", async () => {
    const { model, view } = await opened();
    choose(input(view, "value of colour"), "#ff8800");
    expect(model.get("baseline")).toBe("colour(#ff8800)");
    expect(model.saved.at(-1)?.baseline).toBe("colour(#ff8800)");
    expect(read(view, "colour")).toContain("#ff8800");
  });

  test("names and labels are text, whatever is in them", async () => {
    const markup = '<img src=x onerror="window.hacked = 1"><b>cat</b>';
    const { view } = await opened({
      _cards: [card(markup, { neutral: false, top: [[markup, 0.9]] })],
    });
    expect(view.el.querySelectorAll("b, img[onerror], img[src='x']")).toHaveLength(0);
    expect(read(view, markup)).toContain('<img src=x onerror="window.h');
    expect(Reflect.get(window, "hacked")).toBeUndefined();
  });

  test("pictures are let go of as cards are replaced and as the view is closed", async () => {
    const [made, gone]: [string[], string[]] = [[], []];
    const create = URL.createObjectURL.bind(URL);
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
      const url = create(blob);
      made.push(url);
      return url;
    });
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void gone.push(url));
    const { model, view } = await opened();
    expect(made).toHaveLength(cards.length);
    model.set("_cards", cards.slice(1));
    expect(gone.sort()).toEqual(made.slice(0, cards.length).sort());
    view.close();
    expect(gone.sort()).toEqual(made.sort());
    model.set("_cards", [...cards]);
    expect(gone).toHaveLength(made.length);
  });
});

describe("a photo for a baseline", () => {
  test("that is chosen is sent with its bytes and its name", async () => {
    const { host, model, view } = await opened();
    const map = input(view, "photo for a baseline");
    map.files = files(new File([PNG], "cat.png", { type: "image/png" })).files;
    map.dispatchEvent(new Event("change", { bubbles: true }));
    await vi.waitFor(() => expect(model.all("upload")).toHaveLength(1));
    expect(model.all("upload")[0]).toEqual({ type: "upload", view: host.view, name: "cat.png" });
    const [bytes] = model.buffers[model.sent.findIndex(({ type }) => type === "upload")] ?? [];
    expect([...(bytes ?? [])]).toEqual([...PNG]);
    expect(view.text).not.toContain("reading cat.png");
  });

  test("that is dropped is sent, and the page does not leave for it", async () => {
    const { model, panel } = await opened();
    const drop = (type: string) => {
      const dataTransfer = files(new File([PNG], "dropped.png"));
      const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
      panel.querySelector("p")?.dispatchEvent(event);
      return event.defaultPrevented;
    };
    expect(drop("dragover")).toBe(true);
    expect(drop("drop")).toBe(true);
    await vi.waitFor(() => expect(model.all("upload")[0]?.name).toBe("dropped.png"));
  });

  test("the same file can be chosen again", async () => {
    const { model, view } = await opened();
    const map = input(view, "photo for a baseline");
    map.files = files(new File([PNG], "cat.png")).files;
    map.dispatchEvent(new Event("change", { bubbles: true }));
    await vi.waitFor(() => expect(model.all("upload")).toHaveLength(1));
    // A browser tells of a choice only where it differs from the last.
    expect(map.files).toHaveLength(0);
  });

  test("of more than 9 MB is refused in words, and one of 9 MB is not", async () => {
    const { model, view } = await opened();
    const map = input(view, "photo for a baseline");
    const pick = (bytes: number) => {
      const name = `<b>${bytes}</b>.png`;
      map.files = files(new File([new Uint8Array(bytes)], name)).files;
      map.dispatchEvent(new Event("change", { bubbles: true }));
    };
    pick(9_000_001);
    expect(view.text).toContain("<b>9000001</b>.png has more than 9 MB; make it smaller first.");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(model.all("upload")).toEqual([]);
    pick(9_000_000);
    await vi.waitFor(() => expect(model.all("upload")).toHaveLength(1));
    expect(view.text).not.toContain("9 MB");
  });

  test("nothing is sent where nothing was chosen, nor after the view is closed", async () => {
    const { model, view } = await opened();
    const map = input(view, "photo for a baseline");
    map.dispatchEvent(new Event("change", { bubbles: true }));
    map.files = files(new File([PNG], "late.png")).files;
    map.dispatchEvent(new Event("change", { bubbles: true }));
    view.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(model.all("upload")).toEqual([]);
  });
});
