/** What sv(8) does: to tell services something, to wait until it is so, to say what is so. */
import { Alarm } from "../alarm.ts";
import { out } from "../cli.ts";
import { LETTERS } from "../letters.ts";
import * as libc from "../libc.ts";
import { E } from "../libc.ts";
import { reason } from "../log/words.ts";
import { type Command, loggerOf } from "../rundir.ts";
import type { Status } from "../status.ts";
import { command, exit, hasExited, hasLogger } from "./commands.ts";
import { conditionOf, type Found, findService, whyNotDirectory } from "./condition.ts";
import { describe, isReached, type Named } from "./effects.ts";
import { Places } from "./places.ts";
import type { Action } from "./words.ts";

/** How often it is looked for what no change of a file tells: check scripts, pauses. */
const LOOK = 420;

const MOST_FAILURES = 99;

export type Invocation = {
  readonly action: Action;
  readonly services: readonly Named[];
  /** Called as an init script, for the one service that is named so. */
  readonly asScript: boolean;
  /** For the effect, which is reported. */
  readonly waits: boolean;
  /** Milliseconds. */
  readonly patience: number;
};

/** With its status when we began. */
type Service = Named & { readonly before: Status };

/** What is wrong with a service, to be counted and said. */
class Complaint {
  constructor(
    readonly kind: "fail" | "warning",
    readonly label: string,
    readonly problem: string,
    readonly code = 0,
  ) {}

  get text(): string {
    const why = this.code < 0 ? `: ${reason(this.code)}` : "";
    return `${this.kind}: ${this.label}: ${this.problem}${why}`;
  }
}

const NOT_RUNNING = "runsv not running";

export class Client {
  private readonly places = new Places();
  private readonly alarm = new Alarm();
  private readonly began = performance.now();
  private failures = 0;

  constructor(private readonly invocation: Invocation) {}

  async run(): Promise<number> {
    const { action, services, asScript } = this.invocation;
    if (action.letters === "s") {
      const codes = services.map((service) => this.report(service));
      return asScript ? (codes[0] ?? 1) : Math.min(this.failures, MOST_FAILURES);
    }
    const told: Service[] = [];
    for (const service of services) {
      const before = this.enter(service) ? await this.tell(service) : null;
      if (before) told.push({ ...service, before });
    }
    await this.waitFor(told.filter((service) => this.isAwaited(service)));
    return Math.min(this.failures, asScript ? 1 : MOST_FAILURES);
  }

  // ------------------------------------------------------------------ finding

  /** False, after it was said why: that is no service directory. */
  private enter({ label, path }: Named): boolean {
    const code = whyNotDirectory(this.places, path);
    const problem = "unable to change to service directory";
    if (code < 0) this.complain(new Complaint("fail", label, problem, code));
    return code >= 0;
  }

  private find({ label, path }: Named): Found | Complaint {
    const found = findService(this.places, path);
    if (found === -E.NXIO) return new Complaint("fail", label, NOT_RUNNING);
    if (typeof found !== "number") return found;
    return new Complaint("warning", label, "unable to open supervise/ok", found);
  }

  /** null, after it was said why. */
  private look(service: Named): Found | null {
    const found = this.find(service);
    if (!(found instanceof Complaint)) return found;
    if (found.problem === NOT_RUNNING) this.sayNotRunning(service.label);
    else this.complain(found);
    return null;
  }

  /** Which is what was wanted, if it was to exit. */
  private sayNotRunning(label: string): void {
    if (this.invocation.action.letters === "x") out(`ok: ${label}: ${NOT_RUNNING}\n`);
    else this.complain(new Complaint("fail", label, NOT_RUNNING));
  }

  private complain(complaint: Complaint): void {
    this.failures++;
    out(`${complaint.text}\n`);
  }

  // ------------------------------------------------------------------- status

  /** Prints the status; returns what an init script exits with. */
  private report(service: Named): number {
    if (!this.enter(service)) return 1;
    const found = this.find(service);
    if (found instanceof Complaint) {
      this.complain(found);
      return found.kind === "fail" ? 1 : 4;
    }
    out(`${describe(service, service.label, found.status)}${this.describeLogger(service)}\n`);
    return conditionOf(found.status).pid > 0 ? 0 : 3;
  }

  private describeLogger({ path, label }: Named): string {
    const own = libc.stat(path);
    if (typeof own !== "number" && !own.isDirectory) return "";
    const log = { path: `${path}/log`, label: `${label}/log` };
    const code = whyNotDirectory(this.places, log.path);
    if (code === -E.NOENT) return "";
    const found =
      code < 0
        ? new Complaint("warning", log.label, "unable to change directory", code)
        : this.find(log);
    if (!(found instanceof Complaint)) {
      return `; ${describe({ path: log.path, label }, "log", found.status)}`;
    }
    this.failures++;
    return `; ${found.text}`;
  }

  // ----------------------------------------------------------------- commands

  /** Sends what is to be sent; resolves to its status before that, or null when that is all. */
  private async tell(service: Named): Promise<Status | null> {
    const found = this.look(service);
    if (!found) return null;
    for (const letter of this.commands) {
      const code =
        letter === "exit"
          ? await exit(found.place, this.alarm)
          : await command(found.place, letter, this.alarm);
      if (!this.took(service, code)) return null;
    }
    return found.status;
  }

  private get commands(): readonly (Command | "exit")[] {
    const { letters } = this.invocation.action;
    if (letters === "C") return [];
    if (letters === "x") return ["exit"];
    // In one: it is no crash, after which a service may have to wait.
    if (letters === "tcu") return ["restart"];
    return [...letters].map((letter) => LETTERS[letter]).filter((known) => known !== undefined);
  }

  private took({ label }: Named, code: number): boolean {
    if (code === -E.NXIO) this.sayNotRunning(label);
    else if (code < 0) {
      const verb = code === -E.TIMEDOUT ? "write to" : "open";
      this.complain(new Complaint("warning", label, `unable to ${verb} supervise/control`, code));
    }
    return code >= 0;
  }

  /** An exit without -v has to wait, too, silently: its logger is stopped after it. */
  private isAwaited({ path }: Service): boolean {
    const { action, waits } = this.invocation;
    if (waits) return true;
    const place = action.letters === "x" ? this.places.find(path) : null;
    return place !== null && !place.single && hasLogger(place);
  }

  // ------------------------------------------------------------------ waiting

  private async waitFor(services: readonly Service[]): Promise<void> {
    let left = [...services];
    for (const { path } of left) this.watch(path);
    // The original looks every LOOK ms, and gives up when it looks after the time is over.
    const deadline = Math.max(this.began + this.invocation.patience, performance.now()) + LOOK;
    for (;;) {
      const pending: Service[] = [];
      for (const service of left) if (!(await this.isSettled(service))) pending.push(service);
      left = pending;
      const now = performance.now();
      if (left.length === 0 || now >= deadline) break;
      await this.alarm.ring(Math.min(deadline, now + LOOK));
    }
    for (const service of left) await this.giveUp(service);
  }

  private watch(path: string): void {
    const place = this.places.find(path);
    if (!place) return;
    this.alarm.watchService(place.rundir, place.name);
    // Told to exit, it takes its logger with it.
    if (hasLogger(place)) this.alarm.watchService(place.rundir, loggerOf(place.name));
  }

  /** True once the command has taken effect, or there is nobody left to ask, which is said. */
  private async isSettled(service: Service): Promise<boolean> {
    const { action, waits } = this.invocation;
    if (action.letters === "x") return await this.isGone(service);
    const found = this.look(service);
    if (!found) return true;
    const isDone = (letter: string) => isReached(letter, service, service.before, found.status);
    if (![...action.letters].every(isDone)) return false;
    if (waits) this.print("ok", service, found.status);
    return true;
  }

  private async isGone(service: Service): Promise<boolean> {
    const place = this.places.find(service.path);
    if (place && !(await hasExited(place, this.alarm))) return false;
    if (this.invocation.waits) this.sayNotRunning(service.label);
    return true;
  }

  private async giveUp(service: Service): Promise<void> {
    const { kills } = this.invocation.action;
    const found = this.look(service);
    if (!found) return;
    this.failures++;
    this.print(kills ? "kill" : "timeout", service, found.status);
    if (!kills) return;
    this.took(service, await command(found.place, "kill", this.alarm));
  }

  private print(kind: "ok" | "timeout" | "kill", service: Named, status: Status): void {
    out(`${kind}: ${describe(service, service.label, status)}\n`);
  }
}
