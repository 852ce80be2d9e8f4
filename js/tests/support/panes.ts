import type { Settings } from "../../src/core/settings.js";
import type { FakeModel } from "./fake_model.js";
import { frame, Host } from "./mount.js";
import type { Scene } from "./scene.js";

/** In what a pane differs from the first, and what it is answered. */
export type Pane = readonly [difference: Partial<Settings>, scene: Scene];

/** An explorer of some panes, the first as the traits have it, each answered, in one view. */
export async function compared(
  panes: readonly Pane[],
  traits: ConstructorParameters<typeof Host>[0] = {},
) {
  const host = new Host({ _panes: panes.map(([difference]) => difference), ...traits });
  const view = host.render();
  panes.forEach((pane, i) => {
    answer(host, i, pane);
  });
  await frame();
  return { host, model: host.model, view };
}

export function answer({ model }: Host, pane: number, [difference, scene]: Pane): void {
  model.receive(...scene.answer(wantOf(model, pane), 1, difference));
}

/** The id under which a pane has asked last. */
export function wantOf(model: FakeModel, pane: number): string {
  const [want] = model
    .all("want")
    .filter((message) => message.pane === pane)
    .slice(-1);
  if (want === undefined) throw new Error(`pane ${pane} has not said want`);
  return want.view;
}
