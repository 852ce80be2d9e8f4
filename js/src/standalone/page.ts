import { explorerOf } from "../explorers/explorer.js";
import { image } from "../image/kind.js";
import { table } from "../table/kind.js";
import { shorten } from "../util/format.js";
import { read } from "./recording.js";
import { Replay } from "./replay.js";

const KINDS = [image, table];

/** Fills the page that Python writes (`to_html`); it lives as long as the page. */
async function show(el: HTMLElement, text: string): Promise<void> {
  const recording = await read(text);
  const model = new Replay(recording);
  const kind = KINDS.find(({ name }) => name === recording.kind) ?? image;
  const { signal } = new AbortController();
  const widget = explorerOf(kind)();
  widget.initialize({ model, signal });
  widget.render({ model, el, signal });
}

const el = document.getElementById("explorer");
const text = document.getElementById("recording")?.textContent;
if (el !== null && text) {
  show(el, text).catch((error: unknown) => {
    el.append(`This browser cannot show the recording: ${shorten(String(error), 400)}`);
  });
}
