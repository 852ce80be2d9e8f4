import { describe, expect, test, vi } from "vitest";
import { explained } from "./support/explained.js";
import type { Wire } from "./support/fake_model.js";
import { frame } from "./support/mount.js";

const bytes = Uint8Array.from([80, 75, 3, 4, 0, 255]);

function file(view: string, name: string): Wire {
  const content = { type: "file" as const, view, request: 0, name };
  // As part of a larger message, at an odd place.
  const message = new Uint8Array([1, 2, 3, ...bytes, 4]);
  return { content, buffers: [new DataView(message.buffer, 3, bytes.length)] };
}

/** What is handed to the person from now on: names, and what can be read at the addresses. */
function downloads(): { name: string; data: Promise<number[]> }[] {
  const made: { name: string; data: Promise<number[]> }[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    const data = fetch(this.href)
      .then((response) => response.arrayBuffer())
      .then((buffer) => [...new Uint8Array(buffer)]);
    made.push({ name: this.download, data });
  });
  return made;
}

describe("files", () => {
  test.each(["png", "svg", "npz", "html"] as const)("a click on %s asks for it", async (kind) => {
    const { host, model, view } = await explained();
    view.button(kind.toUpperCase()).click();
    expect(model.all("export")).toEqual([{ type: "export", view: host.view, kind }]);
  });

  test("one that comes is downloaded once, with its name and bytes, however many views there are", async () => {
    const { host, model } = await explained();
    host.render();
    const made = downloads();
    model.receive(file(host.view, "attribution.npz"));
    expect(made.map(({ name }) => name)).toEqual(["attribution.npz"]);
    expect(await made[0]?.data).toEqual([...bytes]);
  });

  test("one for another front end is not", async () => {
    const { host, model } = await explained();
    const made = downloads();
    model.receive(file("another", "attribution.npz"), file("", "attribution.npz"));
    host.close();
    model.receive(file(host.view, "attribution.npz"));
    expect(made).toEqual([]);
  });

  test("the picture and the run stay as they are", async () => {
    const { host, model, view } = await explained();
    downloads();
    const said = view.status.textContent;
    model.receive(file(host.view, "attribution.npz"));
    await frame();
    expect(view.status.textContent).toBe(said);
    expect(view.el.querySelector("[data-stale]")).toBeNull();
  });

  test("one without bytes is said to be none", async () => {
    const { host, model, view } = await explained();
    const made = downloads();
    model.receive({ ...file(host.view, "attribution.npz"), buffers: [] });
    await frame();
    expect(made).toEqual([]);
    expect(view.status.textContent).toContain("a file has come without its bytes");
  });
});

describe("a notice", () => {
  const alert = (el: HTMLElement) => {
    const [found] = el.querySelectorAll<HTMLElement>('[role="alert"]');
    return found?.checkVisibility() ? found.innerText : undefined;
  };

  test("is shown as it comes, with the role of an alert, in every view, until it is closed", async () => {
    const { host, model, view } = await explained();
    const other = host.render();
    expect(alert(view.el)).toBeUndefined();
    model.set("_notice", { text: "cat.txt is no picture that can be read.", number: 1 });
    expect(alert(view.el)).toBe("cat.txt is no picture that can be read.");
    expect(alert(other.el)).toBe("cat.txt is no picture that can be read.");
    view.button("close the notice").click();
    expect(alert(view.el)).toBeUndefined();
    expect(alert(other.el)).toBeDefined();
    // The same sentence once more is another notice.
    model.set("_notice", { text: "cat.txt is no picture that can be read.", number: 2 });
    expect(alert(view.el)).toBe("cat.txt is no picture that can be read.");
  });

  test("gives the focus back as it is closed", async () => {
    const { model, view } = await explained();
    view.slider("opacity").focus();
    model.set("_notice", { text: "No.", number: 1 });
    view.button("close the notice").focus();
    view.button("close the notice").click();
    await frame();
    expect(document.activeElement).toBe(view.slider("opacity"));
  });

  test("of before the view is not shown, nor an empty one", async () => {
    const { model, view } = await explained({
      _notice: { text: "Old.", number: 3, lasts: false },
    });
    expect(alert(view.el)).toBeUndefined();
    model.set("_notice", {});
    expect(alert(view.el)).toBeUndefined();
  });

  test("of before the view is shown if it lasts, and goes with an empty one", async () => {
    const { model, view } = await explained({ _notice: { text: "Odd.", number: 3, lasts: true } });
    expect(alert(view.el)).toBe("Odd.");
    model.set("_notice", { text: "", number: 4, lasts: false });
    expect(alert(view.el)).toBeUndefined();
  });

  test("that goes by itself takes the focus from nobody who has it elsewhere", async () => {
    const { model, view } = await explained({ _notice: { text: "Odd.", number: 3, lasts: true } });
    view.slider("opacity").focus();
    view.button("close the notice").focus();
    view.slider("alpha").focus();
    model.set("_notice", { text: "", number: 4 });
    expect(document.activeElement).toBe(view.slider("alpha"));
    model.set("_notice", { text: "Odd.", number: 5 });
    view.button("close the notice").focus();
    model.set("_notice", { text: "", number: 6 });
    expect(document.activeElement).toBe(view.slider("alpha"));
  });

  test("is text, whatever is in it, and cut where it is long", async () => {
    const { model, view } = await explained();
    const markup = '<img src=x onerror="window.hacked = 1"><b>cat</b>';
    model.set("_notice", { text: markup + "y".repeat(10_000), number: 1 });
    expect(alert(view.el)).toContain(markup);
    expect(alert(view.el)?.length).toBeLessThan(700);
    expect(view.el.querySelector("img, b")).toBeNull();
  });
});
