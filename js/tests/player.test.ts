import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { FullScreen } from "../src/controls/full_screen.js";
import { Player } from "../src/controls/player.js";
import { Traits } from "../src/core/traits.js";
import { image } from "../src/image/kind.js";
import { FakeModel } from "./support/fake_model.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function playing(alpha: number, isStill = false) {
  vi.spyOn(window, "matchMedia").mockReturnValue({ matches: isStill } as MediaQueryList);
  const life = new AbortController();
  const model = new FakeModel({ alpha });
  const traits = new Traits(model, image, life.signal);
  const player = new Player(traits, life.signal);
  onTestFinished(() => life.abort());
  const button = player.element.querySelector("button") as HTMLButtonElement;
  return { life, model, traits, player, button };
}

test("it plays from where alpha is to 1 at the pace of four seconds for all, saves it, and stops", () => {
  const { model, traits, player, button } = playing(0.5);
  expect([button.getAttribute("aria-pressed"), button.innerText]).toEqual(["false", "▶play alpha"]);
  button.click();
  expect([button.getAttribute("aria-pressed"), button.textContent]).toEqual(["true", "❚❚pause"]);
  const seen: number[] = [];
  for (let ms = 0; ms < 1000; ms += 16) {
    vi.advanceTimersByTime(16);
    seen.push(traits.get("alpha"));
  }
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(traits.get("alpha")).toBeCloseTo(0.75, 1);
  vi.advanceTimersByTime(1100);
  expect(traits.get("alpha")).toBe(1);
  expect(player.isPlaying).toBe(false);
  expect(model.saved[model.saved.length - 1]?.alpha).toBe(1);
  expect(button.getAttribute("aria-pressed")).toBe("false");
  // Four a second, and not each frame, are sent to the kernel.
  expect(model.saved.length).toBeLessThan(9);
});

test("from 1 it begins again at 0, and the button pauses it", () => {
  const { traits, player, button } = playing(1);
  button.click();
  vi.advanceTimersByTime(1000);
  button.click();
  const paused = traits.get("alpha");
  expect(paused).toBeGreaterThan(0.2);
  expect(paused).toBeLessThan(0.3);
  vi.advanceTimersByTime(1000);
  expect(traits.get("alpha")).toBe(paused);
  expect(player.isPlaying).toBe(false);
});

test("where motion is unwelcome it takes ten steps", () => {
  const { traits, player, button } = playing(1, true);
  button.click();
  expect(traits.get("alpha")).toBe(0);
  for (let step = 1; step <= 10; step++) {
    vi.advanceTimersByTime(399);
    expect(traits.get("alpha")).toBeCloseTo((step - 1) / 10, 12);
    vi.advanceTimersByTime(1);
    expect(traits.get("alpha")).toBeCloseTo(step / 10, 12);
  }
  expect(player.isPlaying).toBe(false);
});

const press = (key: string) => () => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
const hide = () => {
  vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  document.dispatchEvent(new Event("visibilitychange"));
};

test.each<[string, (parts: ReturnType<typeof playing>) => void]>([
  ["a slider", ({ traits }) => traits.set("alpha", 0.9)],
  [
    "Python",
    ({ traits, model }) => {
      traits.flush();
      model.set("alpha", 0.9);
    },
  ],
  ["Escape", press("Escape")],
  ["a hidden page", hide],
  ["the end of the view", ({ life }) => life.abort()],
])("%s stops it", (_, interfere) => {
  for (const isStill of [false, true]) {
    const parts = playing(0, isStill);
    parts.button.click();
    vi.advanceTimersByTime(900);
    expect(parts.player.isPlaying).toBe(true);
    interfere(parts);
    const alpha = parts.traits.get("alpha");
    vi.advanceTimersByTime(2000);
    expect(parts.player.isPlaying).toBe(false);
    expect(parts.traits.get("alpha")).toBe(alpha);
  }
});

test("after abort nothing is listened to and no timer is left", () => {
  const { life, model, player, button } = playing(0);
  button.click();
  life.abort();
  expect(vi.getTimerCount()).toBe(0);
  expect(model.listenerCount).toBe(0);
  button.click();
  expect(player.isPlaying).toBe(false);
});

/** A browser's full screen, without a person's gesture. */
function fullScreenOf(target: HTMLElement) {
  let isFull = false;
  const turn = (to: boolean) => async () => {
    isFull = to;
    target.dispatchEvent(new Event("fullscreenchange"));
  };
  vi.spyOn(target, "matches").mockImplementation(() => isFull);
  const request = vi.spyOn(target, "requestFullscreen").mockImplementation(turn(true));
  const exit = vi.spyOn(document, "exitFullscreen").mockImplementation(turn(false));
  vi.spyOn(document, "fullscreenEnabled", "get").mockReturnValue(true);
  return { request, exit };
}

test("full screen is entered and left, with the class and the label that go with it", async () => {
  const [target, life] = [document.createElement("div"), new AbortController()];
  const { exit } = fullScreenOf(target);
  const { element } = new FullScreen(target, life.signal);
  const seen = async () => {
    await Promise.resolve();
    return [element.textContent, target.classList.contains("igw-full-screen")];
  };
  expect(await seen()).toEqual(["full screen", false]);
  element.click();
  expect(await seen()).toEqual(["leave full screen", true]);
  element.click();
  expect(await seen()).toEqual(["full screen", false]);
  element.click();
  life.abort();
  expect(exit).toHaveBeenCalledTimes(2);
  expect(target.className).toBe("");
});

test("full screen is not offered where it is missing or was refused", async () => {
  const [target, { signal }] = [document.createElement("div"), new AbortController()];
  const { request } = fullScreenOf(target);
  const { element } = new FullScreen(target, signal);
  expect(element.hidden).toBe(false);
  request.mockRejectedValue(new TypeError("not allowed"));
  element.click();
  await vi.waitFor(() => expect(element.hidden).toBe(true));
  vi.spyOn(document, "fullscreenEnabled", "get").mockReturnValue(false);
  expect(new FullScreen(target, signal).element.hidden).toBe(true);
});
