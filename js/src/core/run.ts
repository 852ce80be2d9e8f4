/** State of the newest request. A tagged union, so that no two states can hold at once. */
export type Run =
  | { readonly kind: "idle"; readonly evaluations: number | null; readonly elapsed: number }
  /** The request is on its way; the kernel has not begun. */
  | { readonly kind: "requested" }
  | {
      readonly kind: "computing";
      readonly request: number;
      readonly done: number;
      readonly total: number;
    }
  | { readonly kind: "cancelled" }
  /** A message is due, and none has come for so many seconds. */
  | { readonly kind: "silent"; readonly seconds: number }
  /** The kernel is gone for good. */
  | { readonly kind: "gone" }
  | { readonly kind: "failed"; readonly message: string; readonly hint: string };

/** The sentence of the status line; it begins with idle, computing, cancelled, failed, waiting or disconnected. */
export function inWords(run: Run): string {
  switch (run.kind) {
    case "idle":
      if (run.evaluations === null) return "idle";
      // In a recording nothing is computed.
      if (run.elapsed === 0) return `idle · ${counted(run.evaluations)}`;
      return `idle · ${counted(run.evaluations)} in ${run.elapsed.toFixed(1)} s`;
    case "requested":
      return "computing · waiting for the kernel";
    case "computing":
      return `computing ${run.done} of ${run.total}`;
    case "cancelled":
      return "cancelled";
    case "silent":
      return `waiting · no answer for ${run.seconds} s: the kernel is busy, or gone. What is drawn stays.`;
    case "gone":
      return "disconnected: the kernel was restarted or has died. What is drawn can still be explored; run the cell again to compute.";
    case "failed":
      return `failed: ${run.message} ${run.hint}`.trim();
  }
}

function counted(evaluations: number): string {
  return `${evaluations} evaluation${evaluations === 1 ? "" : "s"}`;
}
