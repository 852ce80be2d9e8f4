import { describe, expect, onTestFinished, test } from "vitest";
import type { ImageTraits } from "../src/image/traits.js";
import type { Card } from "../src/panels/baselines.js";
import { maps, ready } from "./support/dependence.js";
import { frame, type View } from "./support/mount.js";
import { compared } from "./support/panes.js";
import { Scene } from "./support/scene.js";

const card = (name: string, more: Partial<Card> = {}): Card => ({
  name,
  description: name,
  output: 1.5,
  top: [["Egyptian cat", 0.4]],
  entropy: [1.8, 2],
  neutral: true,
  parameters: [],
  thumbnail: new DataView(new ArrayBuffer(0)),
  ...more,
});

const region = { kind: "rectangle", box: [1, 1, 4, 3] } as const;
const numbers = { sum: 1.5, share: 0.2, output: 9, without: 4, only: 2, baseline: -1 };
const traits: Partial<ImageTraits> = {
  _dependence: ready(1),
  _regions: [region],
  _audits: [{ region, ...numbers }],
  _curves: [
    {
      method: "riemann_middle",
      points: [
        [4, 0.3, null, -0.2],
        [8, 0.1, 0.2, 0.1],
      ],
    },
    { method: "auto", points: [[64, null, 0.02, 0.01]] },
  ],
  _cards: [
    card("black", { neutral: false }),
    card("blur", {
      parameters: [{ name: "sigma", value: 10, low: 0.5, high: 50, step: 0.5, unit: "px" }],
    }),
    card("colour", { parameters: [{ name: "value", colour: "#808080" }] }),
  ],
};

/** Everything folded out, two panes with their difference, a region, a notice, the hatch, several baselines. */
async function full(): Promise<View> {
  const { model, view, host } = await compared(
    [
      [{}, new Scene({ trace: 1 })],
      [{ baseline: "white" }, new Scene({ trace: 2, seed: 2 })],
    ],
    traits,
  );
  for (const details of view.el.querySelectorAll("details")) details.open = true;
  model.set("_notice", { text: "cat.txt is no picture that can be read.", number: 1 });
  view.el.querySelector<HTMLInputElement>('input[type="checkbox"]')?.click();
  view.button("select region 1").click();
  await frame();
  model.receive(maps(new Scene({ trace: 1 }), host.view, 1));
  await frame();
  expect(view.image("mean of the attribution").checkVisibility()).toBe(true);
  expect(host.view).not.toBe("");
  return view;
}

function nameOf(element: Element): string {
  const own = element.getAttribute("aria-label") ?? "";
  if (own.trim() !== "") return own;
  const by = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
  const said = by.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  if (said.trim() !== "") return said;
  if (element instanceof SVGElement) return element.querySelector("title")?.textContent ?? "";
  const labels = (element as Partial<HTMLInputElement>).labels ?? [];
  const labelled = [...labels].map(({ textContent }) => textContent).join(" ");
  if (labelled.trim() !== "") return labelled;
  if (element instanceof HTMLButtonElement) return element.textContent ?? "";
  return "";
}

describe("a fully opened explorer", () => {
  test("every control and every picture has a name", async () => {
    const view = await full();
    const all = view.el.querySelectorAll(
      'button, input, select, summary, [role="img"], [role="slider"], [role="group"], [role="region"], [role="toolbar"], [role="radiogroup"]',
    );
    expect(all.length).toBeGreaterThan(60);
    const nameless = [...all].filter(
      (element) =>
        !/[\wα×−+]/.test(
          element.matches("summary") ? (element.textContent ?? "") : nameOf(element),
        ),
    );
    expect(nameless.map(({ outerHTML }) => outerHTML.slice(0, 200))).toEqual([]);
    // Nor is one that can have the focus hidden from who hears the page.
    const hidden = view.el.querySelectorAll(
      "[aria-hidden] :is(button, input, select, [tabindex]), :is(button, input, select, [tabindex])[aria-hidden]",
    );
    expect(hidden).toHaveLength(0);
  });

  test("controls of one kind have names of their own", async () => {
    const view = await full();
    const seen = [...view.el.querySelectorAll("button, input:not([type=radio]), select")]
      .filter((element) => element.checkVisibility())
      .map((element) => `${element.tagName} ${nameOf(element)}`);
    const doubles = seen.filter((name, i) => seen.indexOf(name) !== i);
    expect(doubles).toEqual([]);
  });

  test("ids are the page's only ones, also of two explorers, and the order of tabs is that of the page", async () => {
    await full();
    await full();
    const ids = [...document.querySelectorAll(".igw [id]")].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
      for (const element of document.querySelectorAll(`.igw [${name}]`))
        for (const id of element.getAttribute(name)?.split(/\s+/) ?? []) expect(ids).toContain(id);
    const orders = [...document.querySelectorAll<HTMLElement>(".igw [tabindex]")];
    expect(orders.filter(({ tabIndex }) => tabIndex > 0)).toEqual([]);
  });
});

type Rgb = readonly [number, number, number];

const pixel = document.createElement("canvas").getContext("2d", {
  willReadFrequently: true,
}) as CanvasRenderingContext2D;

/** What is seen of colours laid over each other, from the lowest. */
function seen(colors: readonly string[]): Rgb {
  pixel.fillStyle = "#fff";
  for (const color of ["#fff", ...colors]) {
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
  }
  const [red = 0, green = 0, blue = 0] = pixel.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

function luminance(color: Rgb): number {
  const [red = 0, green = 0, blue = 0] = color.map((level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: Rgb, other: Rgb): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Of the text that is an element's own, against what is behind it. */
function contrastOf(element: Element): number {
  const chain: Element[] = [];
  for (let one: Element | null = element; one !== null; one = one.parentElement) chain.unshift(one);
  const grounds = chain.map((one) => getComputedStyle(one).backgroundColor);
  const style = getComputedStyle(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const ground = seen(grounds);
  const opacity = chain.reduce((all, one) => all * Number(getComputedStyle(one).opacity), 1);
  const drawn = seen([...grounds, ink]);
  const [red = 0, green = 0, blue = 0] = drawn.map(
    (level, i) => level * opacity + (ground[i] ?? 0) * (1 - opacity),
  );
  return contrast([red, green, blue], ground);
}

test("the contrast of black and white is 21, and of a colour and itself 1", () => {
  expect(contrast(seen(["#000"]), seen(["#fff"]))).toBeCloseTo(21, 5);
  expect(contrast(seen(["#777"]), seen(["#777"]))).toBe(1);
});

test.each(["light", "dark"])("in a page that is %s all text can be read", async (theme) => {
  document.documentElement.dataset.theme = theme;
  document.body.style.background = theme === "light" ? "#fff" : "#111";
  onTestFinished(() => {
    delete document.documentElement.dataset.theme;
    document.body.style.background = "";
  });
  const view = await full();
  const texts = [...view.el.querySelectorAll("*")].filter((element) => {
    const own = [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim() !== "",
    );
    // What lies on a picture has its own ground; what is disabled is not to be read.
    return (
      own &&
      element.checkVisibility() &&
      !element.matches(":disabled, [aria-disabled=true], .igw-overlay *, option, title")
    );
  });
  expect(texts.length).toBeGreaterThan(80);
  const ground = seen([getComputedStyle(view.el.firstElementChild as Element).backgroundColor]);
  expect(luminance(ground) > 0.5).toBe(theme === "light");
  const faint = texts
    .map((element) => [contrastOf(element), element] as const)
    .filter(([value]) => value < 4.5)
    .map(
      ([value, element]) =>
        `${value.toFixed(2)} ${element.tagName}.${element.getAttribute("class")}: ${element.textContent?.slice(0, 40)}`,
    );
  expect(faint).toEqual([]);
});
