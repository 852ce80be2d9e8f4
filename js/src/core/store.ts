import type { AnyModel } from "@anywidget/types";
import { onAbort } from "../util/life.js";
import { Listeners } from "../util/listeners.js";
import { save } from "../util/save.js";
import { CumulativeMap } from "./cumulative_map.js";
import { Link } from "./link.js";
import {
  type Begin,
  decode,
  type FromKernel,
  isFor,
  isSamples,
  type Panel,
  type PanelMaps,
  type Plan,
  type Sample,
  type Samples,
  type Settings,
  type ToKernel,
} from "./protocol.js";
import type { Run } from "./run.js";
import { type CoreTraits, SETTINGS, type Traits } from "./traits.js";

/** Everything that is drawn, of one plan; never changed, only replaced. */
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
 * What one front-end model knows of one pane, shared by all its views: the samples received, how the newest wish
 * fares, and the picture that answers it.
 */
export class Store {
  readonly traits: Traits;
  readonly pane: number;
  readonly #listeners = new Listeners();
  readonly #link: Link;
  /** By which the kernel knows it; another one where it starts anew, so that what was under way to it is dropped. */
  #view = "";
  #isShown = true;
  /** The last one of which samples came: what the kernel takes this view to hold. */
  #trace: Trace | undefined;
  #answer: Answer | undefined;
  #picture: Picture | undefined;
  #received = 0;
  /** Of each panel the last maps that came, and the number of those that were asked for last. */
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
      return { kind: "asked" };
    return answer.run;
  }

  cancel(): void {
    const run = this.#run;
    if (run.kind === "computing")
      this.ask({ type: "cancel", view: this.view, request: run.request });
  }

  /** Says something to the kernel, where there is one. */
  ask(message: ToKernel, buffers: ArrayBuffer[] = []): void {
    this.#link.send(message, buffers);
  }

  /** Whether it is shown anywhere; the kernel need not work for what is not. */
  set isShown(isShown: boolean) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    if (isShown) this.#start();
    else this.ask({ type: "leave", view: this.view });
    this.#changed();
  }

  /** The maps of a panel that have this number; asked for where they are not there, once for all views. */
  maps(panel: Panel, number: number): PanelMaps | undefined {
    const found = this.#maps.get(panel);
    if (found?.number === number) return found;
    if (this.#wanted.get(panel) !== number) this.request(panel);
    this.#wanted.set(panel, number);
    return undefined;
  }

  /** Asks for what a panel shows and no trait has. */
  request(panel: Panel): void {
    this.ask({ type: "request", view: this.view, panel });
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
      // The kernel waits for it all the same; unacknowledged, it would hold back all that follow.
      if (isSamples(content)) this.#acknowledge();
    }
    this.#changed();
  }

  /** From the beginning: what was under way is for a view that is no more. What is drawn stays until it is replaced. */
  #start(): void {
    this.#view = randomId();
    this.#received = 0;
    this.#trace = undefined;
    this.ask({ type: "want", view: this.view, pane: this.pane });
    this.#changed();
  }

  /** Where beats stay away, messages may be lost: they are asked for once more, and come if the kernel is there. */
  #linkChanged(isSilent: boolean): void {
    if (isSilent && (this.#answer === undefined || this.#run.kind === "computing")) {
      this.ask({ type: "leave", view: this.view });
      this.#start();
    }
    this.#listeners.tell();
  }

  #changed(): void {
    const { kind } = this.#run;
    const isDue = this.#answer === undefined || kind === "asked" || kind === "computing";
    this.#link.expects = this.#isShown && isDue;
    this.#listeners.tell();
  }

  #take(message: FromKernel): void {
    if (message.type === "beat") return;
    if (message.type === "file") save(message.name, message.data);
    else if (message.type === "maps") this.#maps.set(message.panel, message);
    else if (message.type === "samples") this.#keep(message);
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
      this.#misunderstand(`it shows ${problem}`);
      return;
    }
    const { request, total } = begin;
    const run: Run = { kind: "computing", request, done: 0, total };
    this.#answer = { request, begin, plan: undefined, run };
  }

  /** Kept whatever request they came for: each sample of a trace is sent to a view only once. */
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
    this.ask({ type: "ack", view: this.view, count: this.#received });
  }

  #plan(plan: Plan): void {
    const answer = this.#answer;
    // A plan that was overtaken by the beginning of its own request has nothing to be drawn from.
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
    // A failure stays to be read, also where the kernel went on to its end.
    else if (answer.run.kind !== "failed") this.#answer = { ...answer, run };
  }

  /** The newest plan becomes the picture, if it is what the traits ask for. */
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

  /** Traits may arrive after the messages that answer them, or return to what is drawn already. */
  #settingsChanged(): void {
    const answer = this.#answer;
    if (answer !== undefined && answer.begin === undefined)
      this.#answer = { ...answer, run: { kind: "asked" } };
    this.#draw();
    this.#changed();
  }

  #misunderstand(reason: string): void {
    const run: Run = {
      kind: "failed",
      message: `The kernel's message was not understood: ${reason}.`,
      hint: "Are the Python package and its front end of the same version?",
    };
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

/** Not `crypto.randomUUID`: that is missing where a notebook is served over plain http. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
