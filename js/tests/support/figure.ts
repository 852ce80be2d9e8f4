import type { TaskMeta } from "vitest";

/** For benchmarks/robustness.md, as the fixture `figure` of tests/conftest.py has them. */
interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly at_most: number | null;
}

declare module "vitest" {
  interface TaskMeta {
    figures?: Figure[];
  }
}

/** Tells a count with the report of a test. What must be true is asserted by the test itself. */
export function tell(task: { meta: TaskMeta }, what: string, value: number, atMost?: number): void {
  task.meta.figures ??= [];
  task.meta.figures.push({ what, value, unit: "", at_most: atMost ?? null });
}
