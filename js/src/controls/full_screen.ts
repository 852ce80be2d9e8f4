import { html, write } from "../util/dom.js";
import { listen, onAbort } from "../util/life.js";

/** A button that toggles full screen; hidden if the browser does not allow it. */
export class FullScreen {
  readonly element = html("button", { type: "button", class: "igw-full-screen-button" });
  readonly #target: HTMLElement;

  constructor(target: HTMLElement, signal: AbortSignal) {
    this.#target = target;
    this.element.hidden = !document.fullscreenEnabled;
    listen(this.element, "click", () => void this.#toggle(), signal);
    listen(target, "fullscreenchange", () => this.#follow(), signal);
    onAbort(signal, () => this.#leave());
    this.#follow();
  }

  /** Asks the element, because within a shadow root the document knows only the host. */
  get isFull(): boolean {
    return this.#target.matches(":fullscreen");
  }

  async #toggle(): Promise<void> {
    try {
      if (this.isFull) await document.exitFullscreen();
      else await this.#target.requestFullscreen();
    } catch {
      // An iframe that forbids it fails only when asked.
      this.element.hidden = !this.isFull;
    }
  }

  #leave(): void {
    if (this.isFull) document.exitFullscreen().catch(() => undefined);
    this.#target.classList.remove("igw-full-screen");
  }

  #follow(): void {
    this.#target.classList.toggle("igw-full-screen", this.isFull);
    write(this.element, this.isFull ? "leave full screen" : "full screen");
  }
}
