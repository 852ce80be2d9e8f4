import type { AnyModel } from "@anywidget/types";
import type explorer from "./explorers/image.js";
import type { ImageTraits } from "./traits.js";

/** What the kernel gives each model: the front end as text, and by what it is known. */
interface Front {
  readonly _front: string;
  readonly _front_hash: string;
}

interface Module {
  readonly default: typeof explorer;
}

interface Life {
  readonly model: AnyModel<ImageTraits & Front>;
  readonly signal?: AbortSignal;
}

/** By its hash, for all explorers of a page: browsers keep each module that was ever imported, compiled, for good. */
const KEY = Symbol.for("ig_widgets.front");

/** The front end of an explorer, imported once a page; each model's own state is made by calling it. */
export default () => {
  let widget: ReturnType<typeof explorer> | undefined;

  return {
    async initialize({ model, ...life }: Life) {
      const { default: make } = await load(model.get("_front"), model.get("_front_hash"));
      widget = make();
      return widget.initialize({ model: model as unknown as AnyModel<ImageTraits>, ...life });
    },

    render({ model, ...life }: Life & { readonly el: HTMLElement }) {
      if (widget === undefined) throw new Error("render was called before initialize");
      return widget.render({ model: model as unknown as AnyModel<ImageTraits>, ...life });
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
