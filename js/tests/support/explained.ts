import { blueToRed } from "./fake_model.js";
import { frame, Host, type View } from "./mount.js";
import { expectedPixels, expectSamePixels, pictureOf, pixelsOf } from "./pixels.js";
import { Scene } from "./scene.js";

/** What every explained view shows. */
export const scene = new Scene();

/** An explorer with one view, and everything that answers its first wish. */
export async function explained(traits: ConstructorParameters<typeof Host>[0] = {}) {
  const host = new Host(traits);
  const view = host.render();
  host.model.receive(...scene.answer(host.view, 1));
  await frame();
  return { host, model: host.model, view };
}

/** Compares what a view shows with the definition. */
export function expectDrawn(view: View, alpha: number): void {
  const { map } = pictureOf(scene);
  const shade = { sign: "all" as const, opacity: 1, scale: map.scale(99) };
  const expected = expectedPixels(scene, scene.entries, alpha, shade, blueToRed());
  expectSamePixels(pixelsOf(view.canvas), expected);
}
