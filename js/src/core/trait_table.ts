/**
 * A trait is declared once, in one line of a table: what it must look like, what stands in for it, and whether it may be
 * written from here. Its type follows from that line.
 *
 * Every value is validated before anything reads it, as a kernel may be broken, or older or newer than this. What a text
 * says is not looked at: it is only ever shown as text.
 */
export type Validator = (value: unknown) => boolean;

/** In what form the kernel takes a trait that is written here; tests/fixtures/settings.json has all of them. */
export type Form =
  | "text"
  | "number"
  | "integer"
  | "flag"
  | "target"
  | "panes"
  | "regions"
  | "count";

export interface Trait<T> {
  readonly isValid: Validator;
  /** Stands in for a value that was never valid. */
  readonly fallback: T;
  /** Undefined where only the kernel writes it. */
  readonly form: Form | undefined;
  /** Whether it says how a picture is looked at, so that a change of it draws the picture again. */
  readonly isLook: boolean;
}

export type TraitTable = Readonly<Record<string, Trait<unknown>>>;
export type ValuesOf<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Trait<infer T> ? T : never;
};

/** What only the kernel writes. */
export function offered<T>(isValid: Validator, fallback: T): Trait<T> {
  return { isValid, fallback, form: undefined, isLook: false };
}

export function writable<T>(form: Form, isValid: Validator, fallback: T): Trait<T> {
  return { isValid, fallback, form, isLook: false };
}

export function look<T>(form: Form, isValid: Validator, fallback: T): Trait<T> {
  return { isValid, fallback, form, isLook: true };
}

export const text: Validator = (value) => typeof value === "string";
export const flag: Validator = (value) => typeof value === "boolean";
export const number: Validator = (value) => Number.isFinite(value);
export const whole: Validator = (value) => Number.isInteger(value) && (value as number) >= 0;
export const bytes: Validator = (value) => value instanceof DataView;

export const between =
  (low: number, high: number): Validator =>
  (value) =>
    number(value) && (value as number) >= low && (value as number) <= high;
export const oneOf =
  (...values: readonly unknown[]): Validator =>
  (value) =>
    values.includes(value);
export const either =
  (...some: readonly Validator[]): Validator =>
  (value) =>
    some.some((isValid) => isValid(value));
export const list =
  (isValid: Validator, least = 0, most = Number.POSITIVE_INFINITY): Validator =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every(isValid);
export const row =
  (...all: readonly Validator[]): Validator =>
  (value) =>
    Array.isArray(value) &&
    value.length === all.length &&
    all.every((isValid, i) => isValid(value[i]));
/** All of `needed` are there; of `others` those that are there are valid. */
export const record =
  (needed: Record<string, Validator>, others: Record<string, Validator> = {}): Validator =>
  (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const has = (name: string) => Object.hasOwn(value, name);
    const isValid = ([name, own]: [string, Validator]) => own(Reflect.get(value, name));
    return (
      Object.entries(needed).every((entry) => has(entry[0]) && isValid(entry)) &&
      Object.entries(others).every((entry) => !has(entry[0]) || isValid(entry))
    );
  };
export const texts = list(text);
export const maybe = either(number, oneOf(null));
