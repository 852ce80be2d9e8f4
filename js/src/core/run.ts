import { significant } from "../util/format.js";

/** State of the newest request. A tagged union, so that no two states can hold at once. */
export type Run =
  | {
      readonly kind: "idle";
      /** That the map rests on; null before the first. */
      readonly evaluations: number | null;
      /** Of these were at hand before. */
      readonly cached: number;
      readonly elapsed: number;
    }
  /** The request is on its way; the kernel has not begun. */
  | { readonly kind: "requested" }
  | {
      readonly kind: "computing";
      readonly request: number;
      /** Of `total` evaluations are at hand; of them `cached` were before it began. */
      readonly done: number;
      readonly total: number;
      readonly cached: number;
      /** The error to which it samples, 0 where the number of evaluations is given; the error so far, if it is known. */
      readonly tol: number;
      readonly error: number | null;
      /** Whether it was cancelled, and the model's pass in hand is not over. */
      readonly stopping: boolean;
    }
  | { readonly kind: "cancelled"; readonly evaluations: number }
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
      if (run.elapsed === 0) return `idle · ${counted(run.evaluations)}${atHand(run.cached)}`;
      return `idle · ${counted(run.evaluations)}${atHand(run.cached, ",")} in ${run.elapsed.toFixed(1)} s`;
    case "requested":
      return "computing · waiting for the kernel";
    case "computing":
      return underWay(run);
    case "cancelled":
      return run.evaluations > 0 ? `cancelled after ${counted(run.evaluations)}` : "cancelled";
    case "silent":
      return `waiting · no answer for ${run.seconds} s: the kernel is busy, or gone. What is drawn stays.`;
    case "gone":
      return "disconnected: the kernel was restarted or has died. What is drawn can still be explored; run the cell again to compute.";
    case "failed":
      return `failed: ${run.message} ${run.hint}`.trim();
  }
}

/** How far a run has come, from 0 to 1; to a tolerance on a logarithmic scale, as errors fall by factors. */
export function progressOf({ done, total, tol, error }: Computing): number {
  if (tol === 0) return total > 0 ? done / total : 1;
  if (error === null || error <= 0) return 0;
  return Math.min(Math.max(Math.log(error) / Math.log(tol), 0), 1);
}

type Computing = Extract<Run, { readonly kind: "computing" }>;

function underWay({ done, total, cached, tol, error, stopping }: Computing): string {
  if (stopping) return `cancelling … after ${counted(done)}: a pass of the model is under way`;
  if (tol === 0) return `computing ${done} of ${total}${atHand(cached)}`;
  const soFar = error === null ? "" : `error about ${share(error)}, `;
  return `computing · ${soFar}to ${share(tol)}; ${counted(done)}${atHand(cached)}`;
}

function share(value: number): string {
  return `${significant(100 * value, 2).replace(/\.0$/, "")}%`;
}

function atHand(cached: number, end = ""): string {
  return cached > 0 ? `, ${cached} cached${end}` : "";
}

function counted(evaluations: number): string {
  return `${evaluations} evaluation${evaluations === 1 ? "" : "s"}`;
}
