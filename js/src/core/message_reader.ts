/** Thrown where something received is not what was agreed; says which map, in words. */
export class Malformed extends Error {}

/** Reads the fields of a message, each as the type that it must have. */
export class MessageReader {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown, name: string) {
    if (typeof value !== "object" || value === null) throw new Malformed(`${name} is no object`);
    this.#fields = value as Record<string, unknown>;
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw new Malformed(`${name} must be text`);
    return value;
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== "string") throw new Malformed(`${name} must hold texts`);
      return value;
    });
  }

  flag(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value !== "boolean") throw new Malformed(`${name} must be true or false`);
    return value;
  }

  number(name: string): number {
    return finite(this.#fields[name], name);
  }

  count(name: string): number {
    return whole(this.#fields[name], name);
  }

  numbers(name: string): number[] {
    return this.#list(name).map((value) => finite(value, name));
  }

  counts(name: string): number[] {
    return this.#list(name).map((value) => whole(value, name));
  }

  /** A list of lists of `length` numbers each. */
  rows(name: string, length: number): number[][] {
    return this.#list(name).map((row) => {
      if (!Array.isArray(row) || row.length !== length)
        throw new Malformed(`${name} must hold lists of ${length} numbers`);
      return row.map((value) => finite(value, name));
    });
  }

  record(name: string): MessageReader {
    return new MessageReader(this.#fields[name], name);
  }

  records(name: string): MessageReader[] {
    return this.#list(name).map((value) => new MessageReader(value, name));
  }

  /** An object that is validated by its user. */
  plain(name: string): Readonly<Record<string, unknown>> {
    return this.record(name).#fields;
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === this.#fields[name]);
    if (found === undefined) throw new Malformed(`${name} must be one of ${choices.join(", ")}`);
    return found;
  }

  has(name: string): boolean {
    return name in this.#fields;
  }

  isNull(name: string): boolean {
    return this.#fields[name] === null;
  }

  #list(name: string): unknown[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) throw new Malformed(`${name} must be a list`);
    return value;
  }
}

function finite(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new Malformed(`${name} must be a finite number`);
  return value;
}

function whole(value: unknown, name: string): number {
  const number = finite(value, name);
  if (!Number.isInteger(number) || number < 0)
    throw new Malformed(`${name} must be a whole number, 0 or more`);
  return number;
}
