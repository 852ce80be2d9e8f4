import type { AnyModel } from "@anywidget/types";
import { onAbort } from "../util/life.js";
import { Listeners } from "../util/listeners.js";
import { save } from "../util/save.js";
import { CumulativeMap } from "./cumulative_map.js";
import { decode, isFor, isSamples } from "./decode.js";
import { Link } from "./link.js";
import type {
  Begin,
  FromKernel,
  Panel,
  PanelMaps,
  Plan,
  Sample,
  Samples,
  ToKernel,
} from "./protocol.js";
import type { Run } from "./run.js";
import type { Settings } from "./settings.js";
import { SETTINGS } from "./settings.js";
import type { CoreTraits, Traits } from "./traits.js";

/** What is drawn of one plan. Immutable. */
export interface Picture {
  readonly begin: Begin;
  readonly plan: Plan;
  readonly map: CumulativeMap;
}

/** The samples of one path. A picture keeps those that it needs alive, so no old trace is held. */
interface Trace {
  readonly id: number;
  readonly size: number;
  readonly samples: Map<number, Sample>;
}

/** The newest request that the kernel has answered in any way. */
interface Answer {
  readonly request: number;
  /** Undefined where it failed before it began. */
  readonly begin: Begin | undefined;
  readonly plan: Plan | undefined;
  readonly run: Run;
}

/**
 * What one front-end model knows of one pane, shared by all its views: the samples received, the state of the
 * newest request, and the picture that answers it.
 */
export class Store {
  readonly traits: Traits;
  readonly pane: number;
  readonly #listeners = new Listeners();
  readonly #link: Link;
  /** The id of this view. A new one after each start, so that messages to the old one are dropped. */
  #view = "";
  #isShown = true;
  /** The trace whose samples this view has. */
  #trace: Trace | undefined;
  #answer: Answer | undefined;
  #picture: Picture | undefined;
  #received = 0;
  /** The last maps of each panel, and the number of those requested last. */
  readonly #maps = new Map<string, PanelMaps>();
  readonly #wanted = new Map<string, number>();

  constructor(model: AnyModel<CoreTraits>, traits: Traits, pane: number, signal: AbortSignal) {
    this.traits = traits;
    this.pane = pane;
    this.#link = new Link(model, (isSilent) => this.#linkChanged(isSilent), signal);
    traits.on([...SETTINGS, "_panes"], () => this.#settingsChanged(), signal);
    const receive = (content: unknown, buffers: DataView[]) => this.#receive(content, buffers);
    model.on("msg:custom", receive);
    onAbort(signal, () => model.off("msg:custom", receive));
    this.#start();
  }

  get view(): string {
    return this.#view;
  }

  /** The last picture; `isStale` says whether it still answers what is asked. */
  get picture(): Picture | undefined {
    return this.#picture;
  }

  get isStale(): boolean {
    return !this.#answers(this.#picture?.begin.settings);
  }

  get run(): Run {
    const { isGone, silence } = this.#link;
    if (isGone) return { kind: "gone" };
    return silence > 0 ? { kind: "silent", seconds: silence } : this.#run;
  }

  get #run(): Run {
    const answer = this.#answer;
    if (answer === undefined) return { kind: "idle", evaluations: null, elapsed: 0 };
    if (answer.begin !== undefined && !this.#answers(answer.begin.settings))
      return { kind: "requested" };
    return answer.run;
  }

  cancel(): void {
    const run = this.#run;
    if (run.kind === "computing")
      this.send({ type: "cancel", view: this.view, request: run.request });
  }

  /** Sends a message to the kernel. */
  send(message: ToKernel, buffers: ArrayBuffer[] = []): void {
    this.#link.send(message, buffers);
  }

  /** Whether any view shows it; if none does, the kernel need not compute. */
  set isShown(isShown: boolean) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    if (isShown) this.#start();
    else this.send({ type: "leave", view: this.view });
    this.#changed();
  }

  /** Returns the maps of a panel with this number; requests them once if they are missing. */
  maps(panel: Panel, number: number): PanelMaps | undefined {
    const found = this.#maps.get(panel);
    if (found?.number === number) return found;
    if (this.#wanted.get(panel) !== number) this.request(panel);
    this.#wanted.set(panel, number);
    return undefined;
  }

  /** Requests what a panel shows and no trait holds. */
  request(panel: Panel): void {
    this.send({ type: "request", view: this.view, panel });
  }

  subscribe(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener, signal);
  }

  #receive(content: unknown, buffers: readonly DataView[]): void {
    if (!isFor(this.view, content)) return;
    this.#link.heard();
    const decoded = decode(content, buffers);
    if (decoded.ok) this.#take(decoded.message);
    else {
      this.#misunderstand(decoded.reason);
      // The kernel waits for the acknowledgement all the same, and would send nothing more.
      if (isSamples(content)) this.#acknowledge();
    }
    this.#changed();
  }

  /** Starts anew under another id. What is drawn stays until it is replaced. */
  #start(): void {
    this.#view = randomId();
    this.#received = 0;
    this.#trace = undefined;
    this.send({ type: "want", view: this.view, pane: this.pane });
    this.#changed();
  }

  /** If beats stay away, messages may be lost: requests everything once more. */
  #linkChanged(isSilent: boolean): void {
    if (isSilent && (this.#answer === undefined || this.#run.kind === "computing")) {
      this.send({ type: "leave", view: this.view });
      this.#start();
    }
    this.#listeners.tell();
  }

  #changed(): void {
    const { kind } = this.#run;
    const isDue = this.#answer === undefined || kind === "requested" || kind === "computing";
    this.#link.expects = this.#isShown && isDue;
    this.#listeners.tell();
  }

  #take(message: FromKernel): void {
    if (message.type === "beat") return;
    if (message.type === "file") save(message.name, message.data);
    else if (message.type === "maps") {
      // Names of panels that nobody here has would fill the memory.
      if (this.#wanted.has(message.panel)) this.#maps.set(message.panel, message);
    } else if (message.type === "samples") this.#keep(message);
    else if (message.type === "begin") this.#begin(message);
    else if (message.request < this.#newest) return;
    else if (message.type === "plan") this.#plan(message);
    else if (message.type === "done")
      this.#ended(message.request, {
        kind: "idle",
        evaluations: message.evaluations,
        elapsed: message.elapsed,
      });
    else
      this.#ended(
        message.request,
        message.kind === "cancelled"
          ? { kind: "cancelled" }
          : { kind: "failed", message: message.message, hint: message.hint },
      );
  }

  #begin(begin: Begin): void {
    if (begin.request < this.#newest) return;
    const problem = this.traits.kind.problemOf(begin.display);
    if (problem !== undefined) {
      this.#ended(begin.request, misunderstood(`it shows ${problem}`));
      return;
    }
    const { request, total } = begin;
    const run: Run = { kind: "computing", request, done: 0, total };
    this.#answer = { request, begin, plan: undefined, run };
  }

  /** Keeps samples of any request: each sample of a trace is sent to a view only once. */
  #keep({ trace, ids, samples }: Samples): void {
    const begin = this.#answer?.begin;
    if (trace === begin?.trace && trace !== this.#trace?.id)
      this.#trace = { id: trace, size: begin.display.size, samples: new Map() };
    const kept = this.#trace;
    if (trace === kept?.id) {
      ids.forEach((id, i) => {
        const sample = samples[i];
        if (sample?.numbers.length === kept.size) kept.samples.set(id, sample);
        else this.#misunderstand(`a map has not the ${kept.size} values of its display`);
      });
    }
    this.#acknowledge();
  }

  #acknowledge(): void {
    this.#received += 1;
    this.send({ type: "ack", view: this.view, count: this.#received });
  }

  #plan(plan: Plan): void {
    const answer = this.#answer;
    // A plan without its `begin` cannot be drawn.
    if (answer?.begin === undefined || plan.request !== answer.request) return;
    const run: Run =
      answer.run.kind === "computing" ? { ...answer.run, done: plan.evaluations } : answer.run;
    this.#answer = { ...answer, plan, run };
    this.#draw();
  }

  #ended(request: number, run: Run): void {
    const answer = this.#answer;
    if (answer?.request !== request)
      this.#answer = { request, begin: undefined, plan: undefined, run };
    // A failure stays visible, even if the kernel went on to `done`.
    else if (answer.run.kind !== "failed") this.#answer = { ...answer, run };
  }

  /** Makes the newest plan the picture, if it answers the current settings. */
  #draw(): void {
    const { begin, plan } = this.#answer ?? {};
    if (begin === undefined || plan === undefined || !this.#answers(begin.settings)) return;
    if (this.#picture?.plan === plan) return;
    const trace = this.#trace;
    const map =
      plan.trace === trace?.id
        ? CumulativeMap.of(plan.entries, trace.samples, trace.size)
        : undefined;
    if (map === undefined) this.#misunderstand("a plan names a sample that was not received");
    else this.#picture = { begin, plan, map };
  }

  /** Traits may arrive after the messages that answer them, or return to the settings of the picture. */
  #settingsChanged(): void {
    const answer = this.#answer;
    if (answer !== undefined && answer.begin === undefined)
      this.#answer = { ...answer, run: { kind: "requested" } };
    this.#draw();
    this.#changed();
  }

  #misunderstand(reason: string): void {
    const run = misunderstood(reason);
    const answer = this.#answer ?? { request: 0, begin: undefined, plan: undefined, run };
    this.#answer = { ...answer, run };
  }

  get #newest(): number {
    return this.#answer?.request ?? 0;
  }

  #answers(settings: Settings | undefined): boolean {
    const asked = this.traits.settings(this.pane);
    return settings !== undefined && SETTINGS.every((name) => settings[name] === asked[name]);
  }
}

function misunderstood(reason: string): Run {
  return {
    kind: "failed",
    message: `The kernel's message was not understood: ${reason}.`,
    hint: "Are the Python package and its front end of the same version?",
  };
}

/** Not `crypto.randomUUID`: that is missing where a notebook is served over plain http. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
