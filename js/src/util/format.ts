const MINUS = "\u2212";

/** More accents than these on one letter paint over the lines above and below. */
const MOST_MARKS = 4;
const MARKS = /[\p{Mn}\p{Me}]+/gu;
const SPACES = /[\t-\r\x85\p{Z}]+/gu;
// Joiners and direction marks are kept: emoji and some scripts need them.
const UNPRINTABLE = /(?![\u200c-\u200f])[\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}]/gu;
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A number with `digits` significant digits, without an exponent where it is easily read. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? exponential(size, digits) : decimal(size, digits);
  return (value < 0 ? MINUS : "") + text;
}

/** A number with an exponent, told to the power of ten `place`. */
export function exponent(value: number, place: number): string {
  const size = Math.abs(value);
  if (size < 10 ** place / 2) return "0";
  const digits = Math.max(0, Math.floor(Math.log10(size) + 1e-9) - place);
  return (value < 0 ? MINUS : "") + exponential(size, digits + 1);
}

/** As `significant`, with the sign always written. */
export function signed(value: number, digits = 3): string {
  return (value > 0 ? "+" : "") + significant(value, digits);
}

export function percent(share: number, decimals = 1): string {
  return Number.isFinite(share) ? `${fixed(share * 100, decimals)}%` : "n/a";
}

export function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** Formats the value of a slider from 0 to 1. */
export function twoDecimals(value: number): string {
  return fixed(value, 2);
}

/**
 * A user's text on one line of a list or a caption, made fit to be shown; `plain` in ig_widgets/texts.py is the same for
 * Python. What cannot be seen, controls and overrides of direction among it, is written as an escape; of the marks on
 * one letter four are kept. Right-to-left letters lie between two left-to-right marks, so that what follows stays there.
 */
export function shorten(text: string, length = 60): string {
  // By code points, so that no character is cut in half.
  const seen = [...text.slice(0, 16 * length)].slice(0, 8 * length).join("");
  const line = seen
    .replace(SPACES, " ")
    .replace(/^ | $/g, "")
    .replace(MARKS, (marks) => [...marks].slice(0, MOST_MARKS).join(""))
    .replace(UNPRINTABLE, escaped);
  const characters = [...(seen.length < text.length ? `${line}…` : line)];
  const short = characters.length > length ? [...characters.slice(0, length - 1), "…"] : characters;
  const shown = short.join("");
  return RIGHT_TO_LEFT.test(shown) ? `\u200e${shown}\u200e` : shown;
}

/** What to say in a tooltip of a text that `shorten` cuts: as much as one holds. None where nothing is cut. */
export function tooltip(text: string, length = 60): string | false {
  return shorten(text, length).includes("…") && shorten(text, 1000);
}

/** The label of a class, or its number where it has none. */
export function className(labels: readonly string[], index: number, length = 60): string {
  return shorten(labels[index] ?? "", length) || `class ${index}`;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff
    ? `\\u${code.toString(16).padStart(4, "0")}`
    : `\\U${code.toString(16).padStart(8, "0")}`;
}

function decimal(size: number, digits: number): string {
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return size.toFixed(Math.min(decimals, 6));
}

function exponential(size: number, digits: number): string {
  return size
    .toExponential(digits - 1)
    .replace("e-", `e${MINUS}`)
    .replace("e+", "e");
}
