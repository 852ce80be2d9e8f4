import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hideUnanswered } from "../src/explorers/unanswered.js";
import { FakeModel } from "./support/fake_model.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function shown() {
  const [model, el, view, life] = [
    new FakeModel(),
    document.createElement("div"),
    document.createElement("div"),
    new AbortController(),
  ];
  el.append(view);
  hideUnanswered(model as never, view, life.signal);
  const isHidden = () => view.style.display === "none" && view.matches(".igw-unanswered");
  const answer = () => model.receive({ content: { type: "beat", view: "any" }, buffers: [] });
  return { model, el, life, isHidden, answer };
}

test("a view that no kernel answers is hidden, with a line in its place, until one does", () => {
  const { model, el, isHidden, answer } = shown();
  vi.advanceTimersByTime(2000);
  expect(isHidden()).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(isHidden()).toBe(true);
  expect(el.textContent).toContain("No kernel answers");
  answer();
  expect(isHidden()).toBe(false);
  expect(el.textContent).toBe("");
  expect(model.listenerCount).toBe(0);
});

test("one that was answered is never hidden", () => {
  const { el, isHidden, answer } = shown();
  answer();
  vi.advanceTimersByTime(60_000);
  expect(isHidden()).toBe(false);
  expect(el.textContent).toBe("");
});

test("nothing is left of a view that is over", () => {
  const { model, el, life, isHidden } = shown();
  life.abort();
  vi.advanceTimersByTime(60_000);
  expect(isHidden()).toBe(false);
  expect(el.textContent).toBe("");
  expect(model.listenerCount).toBe(0);
});
