const MINUS = "\u2212";

/** A number with `digits` significant digits, without an exponent where it is easily read. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? exponential(size, digits) : plain(size, digits);
  return (value < 0 ? MINUS : "") + text;
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

/** What fits a line of a list or a caption; labels may be of any length. */
export function shorten(text: string, length = 60): string {
  // By code points, so that no character is cut in half.
  const characters = [...text.slice(0, 2 * length + 2)];
  return characters.length > length ? `${characters.slice(0, length - 1).join("")}…` : text;
}

function plain(size: number, digits: number): string {
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return size.toFixed(Math.min(decimals, 6));
}

function exponential(size: number, digits: number): string {
  return size
    .toExponential(digits - 1)
    .replace("e-", `e${MINUS}`)
    .replace("e+", "e");
}
