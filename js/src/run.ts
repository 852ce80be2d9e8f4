/** How the newest wish fares. One value, so that no two of its states can hold at once. */
export type Run =
  | { readonly kind: "idle"; readonly evaluations: number | null; readonly elapsed: number }
  /** The wish is on its way; the kernel has not begun. */
  | { readonly kind: "asked" }
  | {
      readonly kind: "computing";
      readonly request: number;
      readonly done: number;
      readonly total: number;
    }
  | { readonly kind: "cancelled" }
  | { readonly kind: "failed"; readonly message: string; readonly hint: string };

/** The sentence of the status line; it begins with idle, computing, cancelled or failed. */
export function inWords(run: Run): string {
  switch (run.kind) {
    case "idle":
      if (run.evaluations === null) return "idle";
      // A recording took no time.
      if (run.elapsed === 0) return `idle · ${run.evaluations} evaluations`;
      return `idle · ${run.evaluations} evaluations in ${run.elapsed.toFixed(1)} s`;
    case "asked":
      return "computing · waiting for the kernel";
    case "computing":
      return `computing ${run.done} of ${run.total}`;
    case "cancelled":
      return "cancelled";
    case "failed":
      return `failed: ${run.message} ${run.hint}`.trim();
  }
}
