import { expect, test } from "vitest";
import fixture from "../../tests/fixtures/plain.json" with { type: "json" };
import { className, shorten, tooltip } from "../src/util/format.js";
import { fileName } from "../src/util/save.js";
import { explained } from "./support/explained.js";
import { frame } from "./support/mount.js";
import { failed } from "./support/scene.js";

test("texts are made fit to be shown as Python does", () => {
  const texts = fixture as [text: string, most: number, plain: string][];
  expect(texts.length).toBeGreaterThan(100);
  for (const [text, most, plain] of texts) expect(shorten(text, most)).toBe(plain);
});

test("a text that is cut can be read in a tooltip, one that is not has none", () => {
  expect(tooltip("x".repeat(200), 60)).toBe("x".repeat(200));
  expect(tooltip("x".repeat(10_000), 60)).toHaveLength(1000);
  expect(tooltip("Egyptian cat", 60)).toBe(false);
});

test("a class without a label is called by its number", () => {
  expect([0, 1, 2].map((index) => className(["cat", " \t"], index))).toEqual([
    "cat",
    "class 1",
    "class 2",
  ]);
});

test.each([
  ["attribution.png", "attribution.png"],
  ["../../.ssh/config", "_ssh_config"],
  ["C:\\x.png", "C_x.png"],
  ["x\0\u202egnp.exe", "x_gnp.exe"],
  ["", "file"],
  ["..", "_"],
  ["=1+1.html", "_1_1.html"],
  [`${"a".repeat(300)}.npz`, `${"a".repeat(60)}.npz`],
])("a file called %j is offered as %j", (name, offered) => {
  expect(fileName(name)).toBe(offered);
});

test("labels and failures are written as texts, never as markup", async () => {
  const markup = "<b>bold</b><img src=data:,>";
  const { host, model, view } = await explained({ _labels: Array(5).fill(markup) });
  expect(view.el.textContent).toContain(markup);
  model.receive(failed(host.view, 2, "error", markup, markup));
  await frame();
  expect(view.status.textContent).toContain(`${markup} ${markup}`);
  expect(view.el.querySelectorAll("b, img")).toHaveLength(0);
});
