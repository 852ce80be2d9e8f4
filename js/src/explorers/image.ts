import type { AnyModel } from "@anywidget/types";
import { Panes } from "../core/panes.js";
import { type ImageTraits, Traits } from "../core/traits.js";
import { lifeWithin, onAbort } from "../util/life.js";
import { ImageView } from "../views/explorer_view.js";

interface Life {
  readonly model: AnyModel<ImageTraits>;
  /** Missing in hosts older than anywidget 0.11; they call what is returned instead. */
  readonly signal?: AbortSignal;
}

/** One call a model: what its views share lives here, and nothing lives in the module. */
export default () => {
  let panes: Panes | undefined;

  return {
    initialize({ model, signal }: Life): () => void {
      const life = lifeWithin(signal);
      panes = new Panes(model, new Traits(model, life.signal), life.signal);
      return () => life.abort();
    },

    render({ el, signal }: Life & { readonly el: HTMLElement }): () => void {
      if (panes === undefined) throw new Error("render was called before initialize");
      const life = lifeWithin(signal);
      const view = new ImageView(panes, life.signal);
      el.append(view.element);
      panes.show(life.signal);
      onAbort(life.signal, () => view.element.remove());
      return () => life.abort();
    },
  };
};
