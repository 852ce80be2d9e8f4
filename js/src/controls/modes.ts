import { assign, button, html } from "../util/dom.js";
import { listen } from "../util/life.js";

/** A row of buttons of which one is pressed, for a choice that is made often. */
export class Modes<T extends string> {
  readonly element: HTMLElement;
  readonly #buttons: ReadonlyMap<T, HTMLButtonElement>;

  constructor(
    label: string,
    choices: readonly T[],
    first: T,
    choose: (choice: T) => void,
    signal: AbortSignal,
  ) {
    this.#buttons = new Map(choices.map((choice) => [choice, button(choice)]));
    for (const [choice, button] of this.#buttons) {
      const press = () => {
        this.show(choice);
        choose(choice);
      };
      listen(button, "click", press, signal);
    }
    this.element = html(
      "div",
      { class: "igw-modes", role: "group", "aria-label": label },
      ...this.#buttons.values(),
    );
    this.show(first);
  }

  show(chosen: T): void {
    for (const [choice, button] of this.#buttons)
      assign(button, { "aria-pressed": String(choice === chosen) });
  }
}
