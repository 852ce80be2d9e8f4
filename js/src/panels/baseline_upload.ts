import type { KindView } from "../core/kind.js";
import type { Store } from "../core/store.js";
import { html, write } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";

const FILE_BYTES = 9_000_000;

/** An input for a file that is to be the baseline; it can be dropped as well. */
export class BaselineUpload {
  readonly element: HTMLElement;
  readonly #store: Store;
  readonly #note: HTMLElement;
  readonly #signal: AbortSignal;

  /** `note` tells what becomes of it. */
  constructor(
    store: Store,
    { accept, label, words }: NonNullable<KindView["baselines"]["files"]>,
    note: HTMLElement,
    signal: AbortSignal,
  ) {
    this.#store = store;
    this.#note = note;
    this.#signal = signal;
    const title = "Makes a file of yours the baseline.";
    const file = html("input", { type: "file", accept, "aria-label": label, title });
    const choose = () => {
      this.#upload(file.files?.[0]);
      // Otherwise the same file, changed meanwhile, could not be chosen again.
      file.value = "";
    };
    listen(file, "change", choose, signal);
    this.element = html("label", { class: "igw-file" }, html("span", {}, words), file);
  }

  acceptDrops(...places: readonly HTMLElement[]): void {
    const drop = (event: DragEvent) => {
      event.preventDefault();
      this.#upload(event.dataTransfer?.files[0]);
    };
    for (const place of places) {
      listen(place, "dragover", (event) => event.preventDefault(), this.#signal);
      listen(place, "drop", drop, this.#signal);
    }
  }

  #upload(file: File | undefined): void {
    if (file === undefined) return;
    if (file.size > FILE_BYTES) {
      write(this.#note, `${shorten(file.name)} has more than 9 MB; make it smaller first.`);
      return;
    }
    write(this.#note, `reading ${shorten(file.name)}…`);
    file.arrayBuffer().then(
      (data) => {
        if (this.#signal.aborted) return;
        const message = {
          type: "upload",
          view: this.#store.view,
          // By code points, so that no character is cut in half.
          name: [...file.name.slice(0, 400)].slice(0, 200).join(""),
        } as const;
        this.#store.send(message, [data]);
        write(this.#note, "");
      },
      () => write(this.#note, `${shorten(file.name)} cannot be read.`),
    );
  }
}
