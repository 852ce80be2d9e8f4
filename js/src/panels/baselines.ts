import type { Store } from "../core/store.js";
import type { Traits } from "../core/traits.js";
import { html, write } from "../util/dom.js";
import { shorten } from "../util/format.js";
import { listen, onAbort } from "../util/life.js";
import { Throttle } from "../util/timing.js";
import { CardView } from "./baseline_card.js";
import { parseBaseline } from "./baseline_text.js";

/** How often a wish goes to the kernel while a slider is dragged: each is drawn coarse, the last one fine. */
const WISH_EVERY = 120;
/** The model is asked for all cards at once, and not while somebody drags. */
const ASK_EVERY = 600;
const FILE_BYTES = 9_000_000;

/** The baselines on offer: how each looks, what the model says of it, and what can be set of it. */
export class Gallery {
  readonly element: HTMLDetailsElement;
  readonly #store: Store;
  readonly #traits: Traits;
  readonly #signal: AbortSignal;
  readonly #cards = html("div", {
    class: "igw-cards",
    role: "group",
    "aria-label": "baseline gallery",
  });
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite" });
  readonly #wish: Throttle;
  readonly #ask: Throttle;
  #shown = new Map<string, CardView>();
  /** While a slider is dragged; to make it anew would take it out of the hand. */
  #isDragging = false;
  #isLate = false;
  /** A choice is made of which there is no card yet. */
  #isDue = false;

  /** `pick` begins to pick a colour from the picture. */
  constructor(store: Store, pick: () => void, signal: AbortSignal) {
    this.#store = store;
    this.#traits = store.traits;
    this.#signal = signal;
    this.#wish = new Throttle(WISH_EVERY, () => this.#traits.flush(), signal);
    this.#ask = new Throttle(ASK_EVERY, () => this.#request(), signal);
    const dropper = html("button", { type: "button" }, "pick a colour from the image");
    listen(dropper, "click", pick, signal);
    const file = html("input", {
      type: "file",
      accept: "image/*",
      "aria-label": "photo for a baseline",
    });
    const choose = () => {
      this.#upload(file.files?.[0]);
      // Else the same file, changed meanwhile, could not be chosen again.
      file.value = "";
    };
    listen(file, "change", choose, signal);
    this.element = html(
      "details",
      { class: "igw-fold igw-gallery" },
      html("summary", {}, "Baselines: what is absence here?"),
      html(
        "div",
        { class: "igw-row" },
        dropper,
        html(
          "label",
          { class: "igw-file" },
          html("span", {}, "use a photo (or drop one here)"),
          file,
        ),
      ),
      this.#note,
      this.#cards,
    );
    this.#listen();
  }

  #listen(): void {
    const signal = this.#signal;
    const { element } = this;
    listen(element, "toggle", () => element.open && this.#ask.call(), signal);
    listen(element, "dragover", (event) => event.preventDefault(), signal);
    listen(
      element,
      "drop",
      (event) => {
        event.preventDefault();
        this.#upload(event.dataTransfer?.files[0]);
      },
      signal,
    );
    const renew = () => element.open && this.#ask.call();
    this.#traits.on(["_baselines", "target", "output"], renew, signal);
    this.#traits.on(["_cards"], () => this.#fill(), signal);
    this.#store.subscribe(() => this.#askInTurn(), signal);
    this.#traits.on(["baseline"], () => this.#mark(), signal);
    this.#fill();
    onAbort(signal, () => this.#release());
  }

  #request(): void {
    if (this.#signal.aborted) return;
    if (this.#traits.get("_cards").length === 0) write(this.#note, "asking the model…");
    // After what is being set just now has been sent: the cards are of that.
    queueMicrotask(() => {
      this.#traits.flush();
      this.#store.request("baselines");
    });
  }

  #release(): void {
    for (const view of this.#shown.values()) view.release();
  }

  #fill(): void {
    this.#isLate = this.#isDragging;
    if (this.#isLate) return;
    const baseline = this.#traits.get("baseline");
    const cards = this.#traits.get("_cards");
    // Of one kind the card that is asked for now, set as it is.
    const now = cards.find(({ name }) => name === baseline);
    const own = now === undefined ? undefined : parseBaseline(baseline).name;
    const kept = cards.filter((card) => card === now || parseBaseline(card.name).name !== own);
    this.#release();
    this.#shown = new Map(
      kept.map((card) => [
        parseBaseline(card.name).name,
        new CardView(card, (text, settled) => this.#choose(text, settled)),
      ]),
    );
    const focused = this.#cards.contains(document.activeElement)
      ? document.activeElement?.getAttribute("aria-label")
      : undefined;
    this.#cards.replaceChildren(...[...this.#shown.values()].map(({ element }) => element));
    this.#mark();
    // What had the focus is another element now, by the same name.
    if (focused) {
      const again = [...this.#cards.querySelectorAll<HTMLElement>("[aria-label]")];
      again.find((one) => one.getAttribute("aria-label") === focused)?.focus();
    }
    write(this.#note, cards.length === 0 ? "" : "F(x′) is the model's output at the baseline.");
  }

  #mark(): void {
    const { name } = parseBaseline(this.#traits.get("baseline"));
    for (const [kind, view] of this.#shown)
      view.select(kind === name, this.#traits.get("baseline"));
  }

  #choose(text: string, settled: boolean): void {
    this.#isDragging = !settled;
    this.#traits.set("baseline", text);
    if (settled) {
      this.#traits.flush();
      if (this.#isLate) this.#fill();
      this.#isDue = true;
      this.#askInTurn();
    } else this.#wish.call();
  }

  /** The cards and the picture take turns with the model, and the picture is what a person waits for. */
  #askInTurn(): void {
    const { isStale, run } = this.#store;
    const isAwaited = isStale && (run.kind === "asked" || run.kind === "computing");
    if (!this.#isDue || isAwaited) return;
    this.#isDue = false;
    this.#ask.call();
  }

  #upload(file: File | undefined): void {
    if (file === undefined) return;
    if (file.size > FILE_BYTES) {
      write(this.#note, `${shorten(file.name)} has more than 9 MB; make it smaller first.`);
      return;
    }
    write(this.#note, `reading ${shorten(file.name)}…`);
    file.arrayBuffer().then(
      (data) => {
        if (this.#signal.aborted) return;
        const message = {
          type: "upload",
          view: this.#store.view,
          // By code points, so that no character is cut in half.
          name: [...file.name.slice(0, 400)].slice(0, 200).join(""),
        } as const;
        this.#store.ask(message, [data]);
        write(this.#note, "");
      },
      () => write(this.#note, `${shorten(file.name)} cannot be read.`),
    );
  }
}
