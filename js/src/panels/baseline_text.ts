/** A parsed baseline text: a name, and parameters in brackets, "blur(sigma=8)", "colour(#ff8800)". */
export interface BaselineText {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

export function parseBaseline(text: string): BaselineText {
  const [, name = text, inside = ""] = /^([^()]*)\((.*)\)$/s.exec(text) ?? [];
  const parts = inside.split(",").filter((part) => part.trim() !== "");
  const values = parts.map((part): [string, string] => {
    const [key = "", value] = part.split("=", 2);
    return value === undefined ? ["value", key.trim()] : [key.trim(), value.trim()];
  });
  return { name: name.trim(), values: new Map(values) };
}

/** Returns the text with one value changed. */
export function withValue(text: string, name: string, value: string): string {
  const parsed = parseBaseline(text);
  const values = [...new Map([...parsed.values, [name, value]])];
  const inside = values.map(([key, own]) => (own.startsWith("#") ? own : `${key}=${own}`));
  return `${parsed.name}(${inside.join(", ")})`;
}
