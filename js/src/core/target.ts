import { percent, shorten, significant } from "../util/format.js";
import { either, flag, list, oneOf, record, text, whole } from "./trait_table.js";

/** What the model's scores mean, and of a dense output where it answers, as `Classifier.described` in Python says. */
export interface Meaning {
  /** softmax: one class is right; sigmoid: each label by itself; raw: numbers, which have no percentage. */
  readonly kind: string;
  /** Nothing tells what scores are, so that what is usual was taken. */
  readonly assumed: boolean;
  /** A sentence on that. */
  readonly said: string;
  /** What a class without a label is called, before its number. */
  readonly word: string;
  /** The sizes of the dimensions besides the classes'; none where there is one answer. */
  readonly places: readonly number[];
  /** The dimension of the classes; null where there are none. */
  readonly axis: number | null;
}

export const PLAIN: Meaning = {
  kind: "softmax",
  assumed: false,
  said: "",
  word: "class",
  places: [],
  axis: 0,
};

export const isMeaning = record(
  {},
  {
    kind: text,
    assumed: flag,
    said: text,
    word: text,
    places: list(whole),
    axis: either(whole, oneOf(null)),
  },
);

type Target = number | string;

/** The class of a target, and its place. A text that is no position is a class of no number. */
export function split(
  target: Target,
  { places, axis }: Meaning,
): { readonly index: number | undefined; readonly place: readonly number[] } {
  if (places.length === 0)
    return { index: typeof target === "number" ? target : undefined, place: [] };
  const numbers = String(target).split(",").map(Number);
  const length = places.length + (axis === null ? 0 : 1);
  const isWhole = numbers.every((number) => Number.isInteger(number) && number >= 0);
  if (numbers.length !== length || !isWhole) return { index: undefined, place: [] };
  if (axis === null) return { index: 0, place: numbers };
  return { index: numbers[axis], place: numbers.filter((_, dimension) => dimension !== axis) };
}

/** The target that is a class at a place, as the kernel takes it. */
export function targetAt(index: number, place: readonly number[], { axis }: Meaning): Target {
  if (place.length === 0) return index;
  if (axis === null) return place.join(", ");
  return [...place.slice(0, axis), index, ...place.slice(axis)].join(", ");
}

/** The label of a class, or its number where it has none. */
export function nameOf(
  labels: readonly string[],
  index: number,
  { word }: Meaning,
  count = 0,
  length = 60,
): string {
  const label = shorten(labels[index] ?? "", length);
  if (label !== "") return label;
  return count === 1 && word === "output" ? word : `${word} ${index}`;
}

/** A probability as a percentage; of raw scores the value. */
export function shareOf(value: number, { kind }: Meaning): string {
  return kind === "raw" ? significant(value) : percent(value);
}
