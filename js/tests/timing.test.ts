import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FrameLoop, Throttle } from "../src/util/timing.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("the first call acts at once, later ones once a period, and the last is never lost", () => {
  const times: number[] = [];
  const start = Date.now();
  const throttle = new Throttle(
    100,
    () => times.push(Date.now() - start),
    new AbortController().signal,
  );
  for (let ms = 0; ms < 250; ms += 10) {
    throttle.call();
    vi.advanceTimersByTime(10);
  }
  vi.advanceTimersByTime(1000);
  expect(times).toEqual([0, 100, 200, 300]);
});

test("flush acts now, once, and only if something was put off", () => {
  const action = vi.fn();
  const throttle = new Throttle(100, action, new AbortController().signal);
  throttle.flush();
  expect(action).toHaveBeenCalledTimes(0);
  throttle.call();
  throttle.call();
  throttle.flush();
  expect(action).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(1000);
  expect(action).toHaveBeenCalledTimes(2);
});

test("abort does what was put off and leaves no timer behind", () => {
  const action = vi.fn();
  const life = new AbortController();
  const throttle = new Throttle(100, action, life.signal);
  throttle.call();
  throttle.call();
  life.abort();
  expect(action).toHaveBeenCalledTimes(2);
  expect(vi.getTimerCount()).toBe(0);
  throttle.call();
  expect(action).toHaveBeenCalledTimes(2);
});

test("a frame is painted once however often it is requested, and not after abort", () => {
  const paint = vi.fn();
  const life = new AbortController();
  const frames = new FrameLoop(paint, life.signal);
  for (let i = 0; i < 5; i++) frames.request();
  vi.advanceTimersToNextFrame();
  expect(paint).toHaveBeenCalledTimes(1);
  frames.request();
  life.abort();
  vi.advanceTimersToNextFrame();
  expect(paint).toHaveBeenCalledTimes(1);
});
