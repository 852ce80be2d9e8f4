import type { AnyModel } from "@anywidget/types";
import type { CoreTraits } from "../core/traits.js";
import { paragraph } from "../util/dom.js";
import { onAbort } from "../util/life.js";

/** A kernel that is there and not busy answers within some tens of milliseconds. */
const PATIENCE = 2500;
const LINE = "No kernel answers: run this cell to explore. What was shown last is below.";

/**
 * Hides a view that no kernel has ever answered, until one does.
 *
 * A saved notebook may hold the state of a widget, whose front end then starts in a page without a kernel, and has
 * nothing to draw. By the class `igw-unanswered` the notebook shows the saved picture instead (widget/display.py).
 */
export function hideUnanswered(
  model: AnyModel<CoreTraits>,
  view: HTMLElement,
  signal: AbortSignal,
): void {
  const line = paragraph("igw-unanswered-line", LINE);
  const answered = () => {
    window.clearTimeout(timer);
    model.off("msg:custom", answered);
    view.classList.remove("igw-unanswered");
    view.style.removeProperty("display");
    line.remove();
  };
  const timer = window.setTimeout(() => {
    view.classList.add("igw-unanswered");
    view.style.display = "none";
    view.before(line);
  }, PATIENCE);
  model.on("msg:custom", answered);
  onAbort(signal, answered);
}
