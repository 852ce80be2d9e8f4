import { between, either, text, type ValuesOf, whole, writable } from "./trait_table.js";

/** What can be asked: the one list of it here, as `settings.py` is in Python. Each `begin` repeats what it answers. */
export const SETTINGS_TABLE = {
  /** Which input, if there are several to choose from; else "". */
  input: writable<string>("text", text, ""),
  baseline: writable<string>("text", text, ""),
  /** A class by its number, or a text, as of a language model. */
  target: writable<number | string>("target", either(whole, text), 0),
  output: writable<string>("text", text, ""),
  method: writable<string>("text", text, ""),
  /** 0 in a `begin` whose method samples to a tolerance. */
  n_steps: writable<number>("integer", whole, 1),
  /** 0 in a `begin` whose method has a number of steps. */
  tol: writable<number>("number", between(0, 1), 0.05),
  /** What is drawn: the sum over the channels, or one of them. */
  channel: writable<string>("text", text, "sum"),
};
export type Settings = ValuesOf<typeof SETTINGS_TABLE>;

export const SETTINGS = Object.keys(SETTINGS_TABLE) as (keyof Settings)[];
