import { expect, test } from "vitest";

/** Each folder may import from itself and from the ones in the rows above; folders of one row do not know each other. */
const ROWS = [
  ["util"],
  ["core"],
  ["controls", "charts"],
  ["panels"],
  ["views"],
  ["image", "table"],
  ["explorers"],
  ["standalone"],
];
const sources = import.meta.glob<string>("../src/**/*.{ts,css}", {
  query: "?raw",
  import: "default",
  eager: true,
});

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const imports: Import[] = Object.entries(sources).flatMap(([path, text]) => {
  const file = path.replace("../src/", "");
  const at = new URL(file, "http://src/");
  return [...text.matchAll(/(?:from|import|@import)\s*\(?"(\.[^"]+)"/g)].map(([, target = ""]) => {
    const [from = "", to = ""] = [at, new URL(target, at)].map((url) => url.pathname.split("/")[1]);
    return { file, from, to };
  });
});

const rowOf = (folder: string) => ROWS.findIndex((row) => row.includes(folder));

function isAllowed({ from, to }: Import): boolean {
  return from === to || rowOf(to) < rowOf(from);
}

test("every file lies in a folder that has its place", () => {
  const folders = new Set(Object.keys(sources).map((path) => path.split("/")[2] ?? ""));
  expect([...folders].filter((folder) => rowOf(folder) < 0)).toEqual([]);
  expect(imports.length).toBeGreaterThan(100);
});

test("imports point one way", () => {
  const wrong = imports.filter((one) => !isAllowed(one)).map(({ file, to }) => `${file} -> ${to}`);
  expect(wrong).toEqual([]);
});
