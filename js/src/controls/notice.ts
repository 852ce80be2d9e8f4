import type { Traits } from "../core/traits.js";
import { button, html, write } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen } from "../util/life.js";

/** Shows a notice of the kernel (a rejected value, a caveat) until it is closed. */
export class Notice {
  readonly element: HTMLElement;

  constructor(traits: Traits, signal: AbortSignal) {
    const text = html("span", { role: "alert" });
    const close = button("×", { "aria-label": "close the notice" });
    this.element = html("div", { class: "igw-notice", hidden: true }, text, close);
    let before: EventTarget | null = null;
    const enter = ({ relatedTarget }: FocusEvent) => {
      before = relatedTarget;
    };
    const hide = () => {
      const hasFocus = this.element.matches(":focus-within");
      this.element.hidden = true;
      // Otherwise the focus is lost with the button.
      if (hasFocus && before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
    listen(close, "focus", enter, signal);
    listen(close, "click", hide, signal);
    const show = () => {
      const { text: sentence } = traits.get("_notice");
      if (!sentence) return hide();
      this.element.hidden = false;
      write(text, shorten(sentence, 600));
    };
    traits.on(["_notice"], show, signal);
    if (traits.get("_notice").lasts) show();
  }
}
