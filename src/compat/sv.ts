/** sv(8): runit's client, as a client of the file protocol. */
import { SVWAIT_SECONDS, SYSDIR, VERSION } from "../../config.ts";
import { Alarm } from "../alarm.ts";
import { basename, commandLine, getenv } from "../bytes.ts";
import { err, out } from "../cli.ts";
import * as libc from "../libc.ts";
import { E } from "../libc.ts";
import { askedForHelp, getopt, leadingNumber, WrongUsage } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { programs } from "../programs.ts";
import type { Status } from "../status.ts";
import { passesCheck } from "./check.ts";
import { command, exit, hasExited, hasLogger, LETTERS } from "./commands.ts";
import {
  conditionOf,
  type Found,
  findService,
  isNormallyUp,
  whyNotDirectory,
} from "./condition.ts";
import { Places } from "./places.ts";
import { type Action, parseAction } from "./words.ts";

export const usage = `usage: sv [-v] [-w SECONDS] COMMAND SERVICE ...
       /etc/init.d/SERVICE [-w SECONDS] COMMAND

Control services, and show their status.

  status                       print it
  up down once exit            as they say; exit stops the logger, too
  pause cont hup alarm interrupt quit 1 2 term kill
                               send that signal
  start stop reload restart shutdown try-restart
                               the same, and wait for the effect
  force-stop force-reload force-restart force-shutdown
                               the same; when the time is over, KILL
  check                        wait until it runs, and its check succeeds

  -v             wait for the effect, and report it
  -w SECONDS     wait so long (environment SVWAIT; ${SVWAIT_SECONDS}); implies -v
  -h, --help     print this
  -V             print the version

Names are looked for in the environment's SVDIR, else in /etc/service, else in SYSDIR.

Exit status: the number of services with trouble, 99 at most; 100 wrong usage. As an init
script: 1 trouble; 2 wrong usage; 151 error; status: 3 down, 4 unknown.
`;

/** How often it is looked for what no change of a file tells: check scripts, pauses. */
const LOOK = 420;

const SERVICES = "/etc/service";

type Invocation = {
  readonly action: Action;
  readonly names: readonly string[];
  /** Called as an init script, for the one service that is named so. */
  readonly asScript: boolean;
  /** For the effect, which is reported. */
  readonly waits: boolean;
  /** Milliseconds. */
  readonly patience: number;
};

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  const script = scriptName();
  const invocation = parse(args, script);
  if (typeof invocation === "number") return invocation;
  return await new Client(invocation).run();
}

/** The name of an init script that leads here, or null. */
function scriptName(): string | null {
  const called = basename(commandLine()[0] ?? "");
  return called === "" || Object.hasOwn(programs, called) ? null : called;
}

/** A number: there is nothing to do, and that is the exit code. */
function parse(args: readonly string[], script: string | null): Invocation | number {
  let [seconds, verbose] = [leadingNumber(getenv("SVWAIT") ?? `${SVWAIT_SECONDS}`), false];
  try {
    const { letters, rest } = getopt(args, "w:vV");
    for (const [letter, value] of letters) {
      verbose = true;
      if (letter === "w") seconds = leadingNumber(value);
      if (letter !== "V") continue;
      out(`sv ${VERSION}\n`);
      return 0;
    }
    const [word, ...services] = rest;
    const names = script === null ? services : [script];
    const action = word === undefined ? null : parseAction(word, script !== null);
    if (!action || names.length === 0) throw new WrongUsage();
    const waits = verbose || action.waits;
    return { action, names, asScript: script !== null, waits, patience: seconds * 1000 };
  } catch (error) {
    if (!(error instanceof WrongUsage)) throw error;
    return wrongUsage(script, error.message);
  }
}

function wrongUsage(script: string | null, message: string): number {
  const name = script ?? "sv";
  if (message !== "") err(`${name}: ${message}\n`);
  const rest = script === null ? " [-v] [-w sec] command service ..." : " [-w sec] command";
  err(`usage: ${name}${rest}\n\n`);
  return script === null ? 100 : 2;
}

/** Where a name is looked for: what begins with a dot or a slash, or ends with one, is a path. */
function pathOf(name: string): string {
  const directory = getenv("SVDIR") ?? (exists(SERVICES) ? SERVICES : getenv("SYSDIR") || SYSDIR);
  if (name === "" || /^[./]|\/$/.test(name)) return name;
  return directory === "" ? "" : `${directory}/${name}`;
}

function exists(path: string): boolean {
  return typeof libc.stat(path) !== "number";
}

type Service = {
  /** As it was given. */
  readonly label: string;
  readonly path: string;
  /** When we began. */
  readonly before: Status | null;
};

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

class Client {
  private readonly places = new Places();
  private readonly alarm = new Alarm();
  private readonly began = performance.now();
  private failures = 0;

  constructor(private readonly invocation: Invocation) {}

  async run(): Promise<number> {
    const { action, names, asScript } = this.invocation;
    if (asScript && action.letters === "s") return this.report(names[0] ?? "");
    const told: Service[] = [];
    for (const name of names) {
      if (action.letters === "s") this.report(name);
      else {
        const service = this.enter(name);
        if (service && (await this.tell(service))) told.push(service);
      }
    }
    await this.waitFor(told.filter((service) => this.isAwaited(service)));
    return Math.min(this.failures, asScript ? 1 : 99);
  }

  // ------------------------------------------------------------------ finding

  private enter(label: string): Service | null {
    const path = pathOf(label);
    const code = whyNotDirectory(this.places, path);
    if (code < 0) {
      const problem = "unable to change to service directory";
      this.complain(new Complaint("fail", label, problem, code));
      return null;
    }
    const found = findService(this.places, path);
    return { label, path, before: typeof found === "number" ? null : found.status };
  }

  private find(path: string, label: string): Found | Complaint {
    const found = findService(this.places, path);
    if (found === -E.NXIO) return new Complaint("fail", label, NOT_RUNNING);
    if (typeof found !== "number") return found;
    return new Complaint("warning", label, "unable to open supervise/ok", found);
  }

  /** null, after it was said why. */
  private look({ path, label }: Service): Found | null {
    const found = this.find(path, label);
    if (!(found instanceof Complaint)) return found;
    if (found.problem === NOT_RUNNING) this.sayNotRunning(label);
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
  private report(name: string): number {
    const service = this.enter(name);
    if (!service) return 1;
    const { path, label } = service;
    const found = this.find(path, label);
    if (found instanceof Complaint) {
      this.complain(found);
      return found.kind === "fail" ? 1 : 4;
    }
    out(`${describe(path, label, label, found.status)}${this.describeLogger(path, label)}\n`);
    return conditionOf(found.status).pid > 0 ? 0 : 3;
  }

  private describeLogger(service: string, label: string): string {
    const own = libc.stat(service);
    if (typeof own !== "number" && !own.isDirectory) return "";
    const path = `${service}/log`;
    const code = whyNotDirectory(this.places, path);
    if (code === -E.NOENT) return "";
    const name = `${label}/log`;
    const found =
      code < 0
        ? new Complaint("warning", name, "unable to change directory", code)
        : this.find(path, name);
    if (!(found instanceof Complaint)) return `; ${describe(path, "log", label, found.status)}`;
    this.failures++;
    return `; ${found.text}`;
  }

  // ----------------------------------------------------------------- commands

  /** Sends what is to be sent; false if that could not be done, or nothing is left to be done. */
  private async tell(service: Service): Promise<boolean> {
    const found = this.look(service);
    if (!found) return false;
    const { place } = found;
    const { letters } = this.invocation.action;
    if (letters === "C") return true;
    if (letters === "x") return this.took(service, await exit(place, this.alarm));
    // A restart in one command: it is no crash, after which a service may have to wait.
    const commands = letters === "tcu" ? ["restart" as const] : [...letters].map(commandOf);
    for (const asked of commands) {
      const code = await command(place, asked, this.alarm);
      if (!this.took(service, code)) return false;
    }
    return true;
  }

  private took({ label }: Service, code: number): boolean {
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
    for (const { path } of left) {
      const place = this.places.find(path);
      if (place) this.alarm.watchService(place.rundir, place.name);
    }
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

  /** True once the command has taken effect, or there is nobody left to ask, which is said. */
  private async isSettled(service: Service): Promise<boolean> {
    const { action, waits } = this.invocation;
    if (action.letters === "x") return await this.isGone(service);
    const found = this.look(service);
    if (!found) return true;
    if (![...action.letters].every((letter) => isReached(letter, service, found.status))) {
      return false;
    }
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

  private print(kind: "ok" | "timeout" | "kill", { path, label }: Service, status: Status): void {
    out(`${kind}: ${describe(path, label, label, status)}\n`);
  }
}

function commandOf(letter: string) {
  return LETTERS[letter] ?? "cont";
}

/** `run: web: (pid 812) 5s, normally down`; nothing, after it was said why. */
function describe(path: string, name: string, label: string, status: Status): string {
  const { state, pid, seconds, paused, stopping } = conditionOf(status);
  const normallyUp = isNormallyUp(path);
  if (typeof normallyUp === "number") {
    err(`warning: unable to stat ${label}/down: ${reason(normallyUp)}\n`);
    return "";
  }
  const wantsUp = status.wanted === "up";
  let text = `${state}: ${name}: ${state === "down" ? "" : `(pid ${pid}) `}${seconds}s`;
  if (pid > 0 && !normallyUp) text += ", normally down";
  if (pid === 0 && normallyUp) text += ", normally up";
  if (paused) text += ", paused";
  if (pid === 0 && wantsUp) text += ", want up";
  if (pid > 0 && !wantsUp) text += ", want down";
  if (stopping) text += ", got TERM";
  return text;
}

/** Whether a command has taken effect. */
function isReached(letter: string, service: Service, status: Status): boolean {
  const { state, pid, paused, stopping } = conditionOf(status);
  const { path, label, before } = service;
  const isNew = status.runs > (before?.runs ?? 0);
  const wantsUp = status.wanted === "up";
  const runs = state === "run" && !stopping;
  switch (letter) {
    case "u":
      return runs && passesCheck(path, label);
    case "d":
      return state === "down";
    case "C":
      return pid === 0 || passesCheck(path, label);
    case "t":
    case "k":
      return (pid === 0 && !wantsUp) || (runs && isNew && passesCheck(path, label));
    case "o":
      return !wantsUp && (pid > 0 || isNew);
    case "p":
      return pid === 0 || paused;
    case "c":
      return !paused;
    default:
      return true;
  }
}
