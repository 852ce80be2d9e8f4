import { onTestFinished } from "vitest";
import tableExplorer from "../../src/explorers/table.js";
import "../../src/explorers/table.css";
import { FakeModel } from "./fake_model.js";
import { frame, View } from "./mount.js";
import { RowScene } from "./rows.js";

export const NAMES = ["age", "<b>rooms</b>", "distance", "tax"];
/** What every explained row shows. */
export const row = new RowScene(NAMES);

/** An explorer of a table with one view, and everything that answers its first request. */
export async function explainedRow(traits: ConstructorParameters<typeof FakeModel>[0] = {}) {
  const model = new FakeModel({ clip: 100, ...traits });
  const life = new AbortController();
  const widget = tableExplorer();
  widget.initialize({ model, signal: life.signal });
  const el = document.createElement("div");
  document.body.append(el);
  onTestFinished(() => {
    life.abort();
    el.remove();
  });
  widget.render({ model, el, signal: life.signal });
  model.receive(...row.answer(model.view, 1));
  await frame();
  const list = el.querySelector<HTMLElement>('[role="listbox"]');
  if (list === null) throw new Error("no list of features");
  return { model, el, list, life, view: new View(el, life) };
}
