import explorer from "../explorers/image.js";
import { shorten } from "../util/format.js";
import { read } from "./recording.js";
import { Replay } from "./replay.js";

/** Fills the page that `ig_widgets/explorers/export.py` writes; it lives as long as the page. */
async function show(el: HTMLElement, text: string): Promise<void> {
  const model = new Replay(await read(text));
  const { signal } = new AbortController();
  const widget = explorer();
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
