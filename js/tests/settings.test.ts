import { expect, test } from "vitest";
import agreed from "../../tests/fixtures/settings.json";
import { SETTINGS } from "../src/core/settings.js";
import { image } from "../src/image/kind.js";
import { table } from "../src/table/kind.js";
import { defaults } from "./support/fake_model.js";

const kinds = { image, table };

test("settings are those that Python has, in its order", () => {
  expect(SETTINGS).toEqual(agreed.settings);
});

test.each(Object.entries(kinds))(
  "%s: what the front end may write is what Python lets it",
  (name, kind) => {
    const forms = Object.entries(kind.traits).flatMap(([trait, { form }]) =>
      form ? [[trait, form]] : [],
    );
    expect(Object.fromEntries(forms)).toEqual(agreed.writable[name as keyof typeof kinds]);
  },
);

test.each(Object.entries(kinds))("%s: what stands in for a trait is itself valid", (_, kind) => {
  for (const [name, { isValid, fallback }] of Object.entries(kind.traits))
    expect([name, isValid(fallback)]).toEqual([name, true]);
});

test("what Python starts with is valid", () => {
  for (const [name, value] of Object.entries(defaults()))
    expect([name, image.traits[name]?.isValid(value)]).toEqual([name, true]);
});
