import type { AnyModel } from "@anywidget/types";
import type { CoreTraits } from "../core/traits.js";
import type explorer from "./image.js";

/** Traits of each model: the front end as text, and its hash. */
interface Front {
  readonly _front: string;
  readonly _front_hash: string;
}

interface Module {
  readonly default: typeof explorer;
}

interface Life {
  readonly model: AnyModel<CoreTraits & Front>;
  readonly signal?: AbortSignal;
}

/** Caches the module by hash for the whole page, because browsers never release an imported module. */
const KEY = Symbol.for("ig_widgets.front");

/** Imports the front end once a page; calling it makes the state of each model. */
export default () => {
  let widget: Promise<ReturnType<typeof explorer>> | undefined;

  return {
    /** Waits for nothing: anywidget gives a model up after two seconds, and a page that starts may take longer. */
    initialize({ model, ...life }: Life): () => void {
      let end: (() => void) | undefined;
      const begin = async () => {
        const { default: make } = await load(model.get("_front"), model.get("_front_hash"));
        const made = make();
        if (!life.signal?.aborted)
          end = made.initialize({ model: model as unknown as AnyModel<CoreTraits>, ...life });
        return made;
      };
      const begun = begin();
      widget = begun;
      const stop = () => end?.();
      // What has failed, `render` tells.
      begun.catch(() => {});
      return () => void begun.then(stop, stop);
    },

    async render({ model, ...life }: Life & { readonly el: HTMLElement }) {
      if (widget === undefined) throw new Error("render was called before initialize");
      const made = await widget;
      if (life.signal?.aborted) return undefined;
      return made.render({ model: model as unknown as AnyModel<CoreTraits>, ...life });
    },
  };
};

function load(text: string, hash: string): Promise<Module> {
  const page = globalThis as { [KEY]?: Map<string, Promise<Module>> };
  page[KEY] ??= new Map();
  const known = page[KEY];
  const found = known.get(hash);
  if (found !== undefined) return found;
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const loading: Promise<Module> = import(/* @vite-ignore */ url).finally(() =>
    URL.revokeObjectURL(url),
  );
  known.set(hash, loading);
  // What has failed once may not fail again.
  loading.catch(() => known.delete(hash));
  return loading;
}
