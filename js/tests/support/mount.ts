import { onTestFinished } from "vitest";
import explorer from "../../src/explorers/image.js";
import "../../src/explorers/image.css";
import { FakeModel } from "./fake_model.js";

/** What a host does: one front end of a model, and as many views of it as are asked for. */
export class Host {
  readonly model: FakeModel;
  readonly #life = new AbortController();
  readonly #widget = explorer();

  constructor(traits: ConstructorParameters<typeof FakeModel>[0] = {}) {
    this.model = new FakeModel(traits);
    this.#widget.initialize({ model: this.model, signal: this.#life.signal });
    onTestFinished(() => this.close());
  }

  get view(): string {
    return this.model.view;
  }

  render(): View {
    const el = document.createElement("div");
    document.body.append(el);
    const life = new AbortController();
    this.#life.signal.addEventListener("abort", () => life.abort());
    this.#widget.render({ model: this.model, el, signal: life.signal });
    onTestFinished(() => el.remove());
    return new View(el, life);
  }

  close(): void {
    this.#life.abort();
  }
}

/** One view, with its parts found as a person finds them: by role and name. */
export class View {
  readonly el: HTMLElement;
  readonly #life: AbortController;

  constructor(el: HTMLElement, life: AbortController) {
    this.el = el;
    this.#life = life;
  }

  close(): void {
    this.#life.abort();
  }

  slider(name: string): HTMLInputElement {
    return this.#one(`input[type="range"][aria-label="${name}"]`);
  }

  list(name: string): HTMLSelectElement {
    return this.#one(`select[aria-label="${name}"]`);
  }

  image(name: string): HTMLElement {
    return this.#one(`[role="img"][aria-label^="${name}"]`);
  }

  get overlay(): HTMLElement {
    return this.image("attribution overlay");
  }

  get canvas(): HTMLCanvasElement {
    return this.#one('[aria-label^="attribution overlay"] canvas');
  }

  get status(): HTMLElement {
    return this.#one('[role="status"]');
  }

  get cancel(): HTMLButtonElement {
    return this.#one(".igw-strip button");
  }

  /** By its accessible name, or its text where it has no other. */
  button(name: string): HTMLButtonElement {
    const found = [...this.el.querySelectorAll("button")].find(
      (button) => (button.getAttribute("aria-label") ?? button.textContent) === name,
    );
    if (found === undefined) throw new Error(`no button is called ${name}`);
    return found;
  }

  /** Folds out what has this heading, as a person does; resolves once the page has told so. */
  async unfold(heading: string): Promise<HTMLDetailsElement> {
    const found = [...this.el.querySelectorAll("summary")].find(({ textContent }) =>
      textContent?.startsWith(heading),
    );
    const details = found?.parentElement;
    if (!(details instanceof HTMLDetailsElement)) throw new Error(`nothing is headed ${heading}`);
    if (!details.open) {
      const told = new Promise((resolve) =>
        details.addEventListener("toggle", resolve, { once: true }),
      );
      found?.click();
      await told;
    }
    return details;
  }

  /** The text a person reads, in one line. */
  get text(): string {
    return this.el.innerText.replaceAll(/\s+/g, " ");
  }

  #one<T extends Element>(selector: string): T {
    const found = this.el.querySelectorAll<T>(selector);
    const [first] = found;
    if (first === undefined || found.length > 1)
      throw new Error(`${found.length} elements match ${selector}`);
    return first;
  }
}

/** After the next frame is painted. */
export function frame(): Promise<void> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => resolve()));
  });
}

/** As a person moves a slider, or chooses from a list. */
export function choose(element: HTMLInputElement | HTMLSelectElement, value: string): void {
  element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
  element.dispatchEvent(new Event("change", { bubbles: true }));
}
