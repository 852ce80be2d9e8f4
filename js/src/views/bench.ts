import { type Tab, Tabs } from "../controls/tabs.js";
import type { Part } from "../core/kind.js";

/** What stands on the bench, by tab. */
export interface Bench {
  readonly path: readonly HTMLElement[];
  readonly values: readonly HTMLElement[];
  /** Parts of the kind that read the map, and those that ask the model. */
  readonly aids: readonly Part[];
  readonly panels: readonly Part[];
  readonly convergence: HTMLElement;
  /** These need a kernel; none in a recording. */
  readonly asking?: {
    readonly baselines: { readonly element: HTMLElement; show(isOpen: boolean): void };
    readonly compare: HTMLElement;
    readonly exports: HTMLElement;
  };
}

/** One panel at a time, beside the stage. */
export function benchOf(
  { path, values, aids, panels, convergence, asking }: Bench,
  signal: AbortSignal,
): Tabs {
  const tab = (name: string, title: string, ...elements: HTMLElement[]): Tab => ({
    name,
    title,
    elements,
  });
  const tabs = [
    tab("path", "F along the path, and whether the attributions sum to its change.", ...path),
    tab(
      "values",
      "How the attributions are spread, and how they become colours.",
      ...values,
      ...aids.flatMap(({ tab, elements }) => (tab === undefined ? elements : [])),
    ),
    ...tabsOf(aids),
    tab("convergence", "How the map settles as more points are sampled.", convergence),
  ];
  if (asking !== undefined) {
    const { baselines, compare, exports } = asking;
    tabs.push(
      {
        ...tab(
          "baselines",
          "All about the baseline: what the model says of it, its parameters, files.",
        ),
        elements: [baselines.element],
        show: (isOpen) => baselines.show(isOpen),
      },
      tab("compare", "More maps beside this one, each asked something else.", compare),
      ...tabsOf(panels),
      tab("save", "Files of what is shown.", exports),
    );
  }
  return new Tabs("bench", tabs, signal);
}

/** One tab for each name that parts have. */
function tabsOf(parts: readonly Part[]): Tab[] {
  const names = [...new Set(parts.flatMap(({ tab }) => (tab === undefined ? [] : [tab.name])))];
  return names.map((name) => {
    const own = parts.filter(({ tab }) => tab?.name === name);
    return {
      name,
      title: own[0]?.tab?.title ?? name,
      elements: own.flatMap(({ elements }) => elements),
      show: (isOpen: boolean) => {
        for (const part of own) part.show?.(isOpen);
      },
    };
  });
}
