import type { AnyModel } from "@anywidget/types";
import type { Kind } from "../core/kind.js";
import { Panes } from "../core/panes.js";
import { type CoreTraits, Traits } from "../core/traits.js";
import { lifeWithin, onAbort } from "../util/life.js";
import { ExplorerView } from "../views/explorer_view.js";

interface Life {
  readonly model: AnyModel<CoreTraits>;
  /** Missing in hosts older than anywidget 0.11; they call what is returned instead. */
  readonly signal?: AbortSignal;
}

/** Returns the front end of a kind of explorer, in the form that anywidget expects. */
export function explorerOf(kind: Kind) {
  // Called once for each model. Views share this state; the module has none.
  return () => {
    let panes: Panes | undefined;

    return {
      initialize({ model, signal }: Life): () => void {
        const life = lifeWithin(signal);
        panes = new Panes(model, new Traits(model, kind, life.signal), life.signal);
        return () => life.abort();
      },

      render({ el, signal }: Life & { readonly el: HTMLElement }): () => void {
        if (panes === undefined) throw new Error("render was called before initialize");
        const life = lifeWithin(signal);
        const view = new ExplorerView(panes, kind, life.signal);
        el.append(view.element);
        panes.show(life.signal);
        onAbort(life.signal, () => view.element.remove());
        return () => life.abort();
      },
    };
  };
}
