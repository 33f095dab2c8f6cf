/**
 * The scanner of src/sysmgr.ts in small: one service, no processes, a clock that is set. It
 * answers the effects of the transition function as the real one does, and checks after every
 * event what must always hold.
 */
import { BACKOFF, SETTLE_DEPENDS } from "../../config.ts";
import { PLAIN, type Settings } from "../../src/settings.ts";
import { type Exit, type Marker, type ProcessId, parseMarker } from "../../src/status.ts";
import { type Times, timesAfter } from "../../src/times.ts";
import { type Effect, type Event, type Life, newborn, transition } from "../../src/transition.ts";

export type Tally = { states: Map<string, number>; effects: Map<string, number> };

/** A life, and all in it, that nobody can change. */
function frozen(life: Life): Life {
  if (life.process) Object.freeze(life.process);
  if (life.exit) Object.freeze(life.exit);
  return Object.freeze(life);
}

export class Model {
  life = frozen(newborn);
  now = 1_000;
  private times: Times = { since: 0, first: null, ready: null, waited: 0 };
  /** NAME/lock. */
  file: string | null = null;
  /** The process that runs, or has ended and was not reaped yet. */
  process: { id: ProcessId; stops: number; ended: Exit | null } | null = null;
  spawnPending = false;
  /** Its finish script runs; its check does. */
  finishing = false;
  checking = false;
  private pids = 1;

  constructor(
    private readonly tally: Tally,
    private readonly trace: ((line: string) => void) | null,
  ) {}

  // ------------------------------------------------------- what may happen

  look(): void {
    const marker: Marker = parseMarker(this.file);
    this.apply({ type: "marker", marker });
    this.must(this.life.wanted === marker.wanted, "the marker is obeyed");
    const [, effects] = transition(this.life, { type: "marker", marker }, this.now);
    this.must(effects.length === 0, "a marker is acted on once");
  }

  command(command: "up" | "down" | "once" | "restart"): void {
    this.look();
    this.apply({ type: "command", command });
    const { wanted } = parseMarker(this.file);
    this.must(this.life.wanted === wanted, "a command and the marker agree");
  }

  /** Carries out a spawn that is still wanted, as the scanner does: it asks the state again. */
  start(
    outcome: "spawned" | "passing" | "failed",
    chained = false,
    settings: Settings = PLAIN,
  ): void {
    const wanted = this.spawnPending && this.life.state === "starting" && !this.life.process;
    this.spawnPending = false;
    if (!wanted) return;
    if (outcome !== "spawned") {
      const reason = outcome === "passing" ? "Text file busy" : "not executable";
      return this.apply({ type: "unspawned", reason, passing: outcome === "passing" });
    }
    this.must(this.process === null, "never a second process beside the first");
    this.process = { id: { pid: ++this.pids, started: this.now }, stops: 0, ended: null };
    this.apply({ type: "spawned", process: this.process.id, chained, settings });
  }

  /** The process ends; the scanner learns of it later. */
  end(exit: Exit): void {
    if (this.process) this.process.ended ??= exit;
  }

  reap(): void {
    const exit = this.process?.ended;
    if (!exit) return;
    this.process = null;
    this.checking = false;
    const marker = parseMarker(this.file);
    this.apply({ type: "exited", exit, marker });
    this.checkWanted(marker);
  }

  finished(): void {
    if (!this.finishing) return;
    this.finishing = false;
    const marker = parseMarker(this.file);
    this.apply({ type: "finished", marker });
    this.checkWanted(marker);
  }

  checked(passed: boolean): void {
    if (!this.checking) return;
    this.checking = false;
    this.apply({ type: "checked", passed });
  }

  /** After an end the marker is obeyed, or a service that ran enough has made one. */
  private checkWanted({ wanted }: Marker): void {
    const { life } = this;
    const enough = life.settings.restart !== null && life.wanted === "once";
    this.must(life.wanted === wanted || enough, "an end looks at the marker");
  }

  timer(waiting: boolean): void {
    this.apply({ type: "timer", waiting });
  }

  // ------------------------------------------------------------ what comes

  apply(event: Event): void {
    this.trace?.(`${this.now} ${JSON.stringify(event)}`);
    const before = this.life;
    const [life, effects] = transition(before, Object.freeze(event), this.now);
    this.trace?.(`    ${JSON.stringify(life)}\n    ${JSON.stringify(effects)}`);
    this.life = frozen(life);
    this.checkTimes(before);
    count(this.tally.states, life.state);
    for (const effect of effects) this.perform(effect);
    this.must(life.runs - before.runs === (event.type === "spawned" ? 1 : 0), "runs counts spawns");
    this.checkProcess(before);
    this.checkWaits(event);
  }

  /** What the status tells of when it was. */
  private checkTimes(before: Life): void {
    const { life, times } = this;
    this.times = timesAfter(times, before, life, this.now);
    const { since, first, ready } = this.times;
    this.must((first === null) === (life.runs === 0), "a first start is told once there was one");
    this.must(times.first === null || times.first === first, "the first start stays the first");
    this.must(life.state !== "up" || ready === since, "what is up is ready since then");
    const starts = life.state === "starting" && life.process !== null;
    this.must(!starts || ready === null, "what starts is not ready yet");
    this.must(
      ready === null || (first !== null && first <= ready),
      "nothing is ready before it began",
    );
  }

  private perform(effect: Effect): void {
    count(this.tally.effects, nameOf(effect));
    const { life, process } = this;
    switch (effect.type) {
      case "spawn":
        this.must(life.state === "starting" && !process, "a spawn follows an exit");
        this.must(!life.leaving, "nothing is started while leaving");
        this.must(life.wanted !== "down", "nothing is started that is stopped");
        this.spawnPending = true;
        return;
      case "stop":
        this.must(process && life.state === "stopping", "a stop is for a process, in its state");
        if (process) process.stops++;
        return;
      case "signal":
        return this.must(process, "a signal is for a process");
      case "finish":
        this.must(life.state === "finishing" && !process, "a finish script follows an exit");
        this.must(!this.finishing, "one finish script at a time");
        this.finishing = true;
        return;
      case "check":
        this.must(process && life.state === "starting", "a check is for what is starting");
        this.must(!this.checking, "one check at a time");
        this.checking = true;
        return;
      case "mark":
        this.file = effect.content;
        return;
      case "log":
        return this.must(!effect.text.includes("\n"), "a message is one line");
    }
  }

  private checkProcess(before: Life): void {
    const { life, process } = this;
    const { state } = life;
    this.must((life.process?.pid ?? 0) === (process?.id.pid ?? 0), "the process is the real one");
    const needs = state === "up" || state === "stopping";
    const has = needs || (state === "starting" && process !== null);
    this.must((process !== null) === has, "the state says whether there is a process");
    const unwanted = life.leaving || life.wanted === "down";
    this.must(!process || !unwanted || process.stops > 0, "what is unwanted was told to stop");
    this.must(state !== "stopping" || (process?.stops ?? 0) > 0, "stopping means: told to stop");
    const begun = before.state === "stopping" && before.process === life.process;
    this.must(!begun || state === "stopping", "a stop that has begun is completed");
    const over = state === "down" || state === "finishing";
    this.must(!unwanted || process || over, "without a process a stop is at its end");
    this.must((state === "finishing") === this.finishing, "finishing means: the script runs");
    this.must((life.end !== null) === this.finishing, "an end is remembered while it is needed");
  }

  private checkWaits(event: Event): void {
    const { life } = this;
    const { state, due } = life;
    this.must(life.short >= 0 && Number.isInteger(life.short), "short is a count");
    const { stopTimeout, delay, check, notificationFd } = life.settings;
    const timed = state === "backoff" || state === "stopping" || life.process !== null;
    this.must(due === null || timed, "a timer is set only where something comes of it");
    this.must(due !== null || state !== "backoff", "a backoff ends");
    const longest = {
      backoff: Math.max(BACKOFF.at(-1) ?? 0, delay?.wait ?? 0),
      stopping: stopTimeout ?? 0,
    }[state as string];
    const most = longest ?? SETTLE_DEPENDS;
    this.must(due === null || due - this.now <= most, "no wait is longer than the rule");
    const silent = !check && notificationFd === null;
    const fresh = event.type === "spawned" || event.type === "returned";
    this.must(
      !fresh || !silent || state !== "starting" || !life.process || due !== null,
      "a start is settled by a timer",
    );
    this.must(state !== "failed" || life.reason !== null, "a failure has a reason");
    const hangs = state === "starting" && !life.process && !this.spawnPending;
    this.must(!hangs, "starting without a process means: about to be spawned");
    const ending = state === "stopping" || state === "finishing";
    const again = ending && life.wanted === "once";
    this.must(!life.again || again, "once more is for a stop, and for once");
    const wanted = life.wanted === "up" && !life.leaving;
    this.must(!wanted || state !== "down", "what is wanted is not left down");
  }

  must(condition: unknown, rule: string): void {
    if (!condition) throw new Error(`violated: ${rule}: ${JSON.stringify(this.life)}`);
  }
}

function nameOf(effect: Effect): string {
  if (effect.type === "mark") return `mark ${effect.content?.trim() ?? "gone"}`;
  if (effect.type === "log") return `log ${effect.level}`;
  if (effect.type === "stop") return effect.signal === null ? "stop" : "stop with a signal";
  return effect.type;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
