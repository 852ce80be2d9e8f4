/**
 * What each trait has to look like, before anything reads it: a kernel may be broken, or older or newer than this.
 *
 * A form tells whether a value has it. What a text says is not looked at: it is only ever shown as text.
 */
type Form = (value: unknown) => boolean;

const text: Form = (value) => typeof value === "string";
const flag: Form = (value) => typeof value === "boolean";
const number: Form = (value) => Number.isFinite(value);
const whole: Form = (value) => Number.isInteger(value) && (value as number) >= 0;
const bytes: Form = (value) => value instanceof DataView;

const between =
  (low: number, high: number): Form =>
  (value) =>
    number(value) && (value as number) >= low && (value as number) <= high;
const oneOf =
  (...values: readonly unknown[]): Form =>
  (value) =>
    values.includes(value);
const either =
  (...forms: readonly Form[]): Form =>
  (value) =>
    forms.some((form) => form(value));
const list =
  (form: Form, least = 0, most = Number.POSITIVE_INFINITY): Form =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every(form);
const row =
  (...forms: readonly Form[]): Form =>
  (value) =>
    Array.isArray(value) &&
    value.length === forms.length &&
    forms.every((form, i) => form(value[i]));
/** All of `forms` are there; of `others` those that are there have their form. */
const record =
  (forms: Record<string, Form>, others: Record<string, Form> = {}): Form =>
  (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const has = (name: string) => Object.hasOwn(value, name);
    return (
      Object.entries(forms).every(([name, form]) => has(name) && form(Reflect.get(value, name))) &&
      Object.entries(others).every(([name, form]) => !has(name) || form(Reflect.get(value, name)))
    );
  };

const WISHES: Record<string, Form> = {
  input: text,
  baseline: text,
  target: either(whole, text),
  output: text,
  method: text,
  n_steps: whole,
  tol: between(0, 1),
  channel: text,
};
const perhaps = either(number, oneOf(null));
const texts = list(text);
const region = either(
  record({ kind: oneOf("rectangle"), box: row(number, number, number, number) }),
  record({ kind: oneOf("polygon"), points: list(row(number, number)) }),
  record({ kind: oneOf("mask"), runs: list(whole) }),
);
const parameter = { value: number, low: number, high: number, step: number, unit: text };

export const VALIDATORS: Readonly<Record<string, Form>> = {
  ...WISHES,
  alpha: between(0, 1),
  opacity: between(0, 1),
  clip: between(0, 100),
  sign: oneOf("all", "positive", "negative"),
  ground: oneOf("grey", "colour"),
  colormap: text,
  show_dependence: flag,
  _panes: list(record({}, WISHES), 1, 4),
  _regions: list(region),
  _audits: list(
    either(
      record({ error: text }),
      record({
        region,
        sum: number,
        share: perhaps,
        output: number,
        without: number,
        only: number,
        baseline: number,
      }),
    ),
  ),
  _cards: list(
    record({
      name: text,
      description: text,
      output: number,
      top: list(row(text, number)),
      entropy: row(number, number),
      neutral: flag,
      parameters: list(
        either(record({ name: text, colour: text }), record({ name: text, ...parameter })),
      ),
      thumbnail: bytes,
    }),
  ),
  _curves: list(record({ method: text, points: list(row(number, perhaps, perhaps, perhaps)) })),
  _dependence: either(
    record({ kind: oneOf("computing"), done: number, total: number }),
    record({ kind: oneOf("failed"), message: text }),
    record({
      kind: oneOf("ready"),
      number: whole,
      asked: record({ target: either(whole, text), output: text, channel: text }),
      dependence: number,
      coarse: number,
      patch: number,
      output: number,
      rules: texts,
      rows: list(record({ name: text, output: number, sum: number, share: number })),
    }),
    record({}, { kind: oneOf(undefined) }),
  ),
  _notice: record({}, { text, number, lasts: flag }),
  _methods: texts,
  _outputs: texts,
  _channels: texts,
  _baselines: texts,
  _colormaps: texts,
  _labels: texts,
  // A list of them is made.
  _n_classes: (value) => whole(value) && (value as number) <= 1e6,
  _top: list(row(whole, number)),
  _lut: (value) => bytes(value) && (value as DataView).byteLength === 768,
};

/** What stands in for a trait that has never had its form. */
export const FALLBACKS: Readonly<Record<string, unknown>> = {
  input: "",
  baseline: "",
  target: 0,
  output: "",
  method: "",
  n_steps: 1,
  tol: 0.05,
  channel: "sum",
  alpha: 1,
  opacity: 1,
  clip: 99,
  sign: "all",
  ground: "grey",
  colormap: "",
  show_dependence: false,
  _panes: [{}],
  _dependence: {},
  _notice: {},
  _n_classes: 0,
  _lut: new DataView(new ArrayBuffer(768)),
};
