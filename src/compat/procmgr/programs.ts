/** The programs that there are, and what the supervisor's files say of them. */
import { SUPERVISOR_LIMIT } from "../../../config.ts";
import { putFile, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { E } from "../../libc.ts";
import * as proc from "../../proc.ts";
import type { Command, RunDir } from "../../rundir.ts";
import type { Exit, ProcessId, Wanted } from "../../status.ts";
import type { Changes } from "./changes.ts";
import type { Program } from "./config.ts";
import { failurePath } from "./launch.ts";
import { formatOrder, type Order } from "./order.ts";
import type { Place } from "./place.ts";
import { otherService, type Services, serviceName } from "./services.ts";

/** One program. */
export type Managed = {
  program: Program;
  /** The configuration has it; one that has gone from there stays until it has ended. */
  listed: boolean;
  /** The service that its process belongs to. */
  service: string;
  /** The end of what is being done with it: starts and the like come one after the other. */
  busy: Promise<unknown>;
};

/** What could not be done, in words for the client. */
export class Trouble extends Error {}

export class Programs {
  private readonly known = new Map<string, Managed>();
  /** Services whose files must not go yet: they are being started. */
  private readonly held = new Set<string>();
  /** Services that go when they have ended: what they belong to. */
  private readonly fading = new Map<string, string>();

  constructor(
    private readonly place: Place,
    private readonly rundir: RunDir,
    private readonly services: Services,
    private readonly changes: Changes,
    /** Tells of what happens in a directory. */
    private readonly watch: (path: string) => void,
  ) {}

  /** What an earlier daemon has left. */
  recover(): void {
    for (const { service, program } of this.services.list()) {
      if (!this.known.has(program.name)) this.introduce(program, this.currentOf(program.name));
      this.fading.set(service, program.name);
      this.watch(`${this.place.rundir}/${service}`);
    }
    // The new process of a restart may never have been started: then the old one is the program.
    for (const [service, name] of this.fading) {
      const m = this.known.get(name);
      if (m && !this.isAlive(m.service) && this.isAlive(service)) this.setCurrent(m, service);
    }
  }

  /** Makes a new configuration the one that counts; what runs runs on. */
  adopt(programs: ReadonlyMap<string, Program>): string[] {
    const problems: string[] = [];
    for (const m of this.known.values()) m.listed &&= programs.has(m.program.name);
    for (const [name, program] of programs) {
      const m = this.known.get(name) ?? this.introduce(program, serviceName(name));
      if (!m.listed && program.restartDelay !== null) this.keep(m.service);
      m.program = program;
      m.listed = true;
      const code = this.services.write(m.service, program);
      if (code < 0) problems.push(`cannot write ${m.service}: ${libc.strerror(code)}`);
    }
    for (const m of this.known.values()) {
      if (m.listed) continue;
      this.letGo(m.service);
      this.fading.set(m.service, m.program.name);
    }
    this.tidy();
    return problems;
  }

  get(name: string): Managed | undefined {
    return this.known.get(name);
  }

  get all(): Managed[] {
    return [...this.known.values()];
  }

  private introduce(program: Program, service: string): Managed {
    const m = { program, listed: false, service, busy: Promise.resolve() };
    this.known.set(program.name, m);
    return m;
  }

  private currentOf(name: string): string {
    const text = libc.readFile(`${this.place.current}/${serviceName(name)}`);
    return typeof text === "string" && text !== "" ? text.trim() : serviceName(name);
  }

  private setCurrent(m: Managed, service: string): void {
    putFile(`${this.place.current}/${serviceName(m.program.name)}`, `${service}\n`);
    m.service = service;
  }

  /** What is done with one program is done in order. */
  inOrder<T>(m: Managed, step: () => Promise<T>): Promise<T> {
    const done = m.busy.then(step);
    m.busy = done.catch(() => {});
    return done;
  }

  /** Its process, if there is one. */
  running(m: Managed): ProcessId | null {
    return this.processOf(m.service);
  }

  private processOf(service: string): ProcessId | null {
    const id = this.rundir.status(service)?.process ?? null;
    return id && proc.isAlive(id.pid, id.started) ? id : null;
  }

  /** It does not run now, but the supervisor is to start it. */
  private isDue(m: Managed): boolean {
    const status = this.rundir.status(m.service);
    return status?.wanted === "up" && status.state !== "down";
  }

  /** What its marker says, which the supervisor may not have seen yet. */
  private marked(service: string): Wanted | undefined {
    return this.rundir.marker(service)?.wanted;
  }

  /** Its process runs on, and none follows it. */
  letGo(service: string): void {
    const wanted = this.rundir.status(service)?.wanted ?? "down";
    if (wanted !== "down" && this.marked(service) === "up")
      this.rundir.setMarker(service, "once\n");
  }

  /** The contrary, for one that runs. */
  private keep(service: string): void {
    const isLetGo = this.marked(service) === "once";
    if (isLetGo && this.processOf(service)) this.rundir.setMarker(service, null);
  }

  /** Asks the supervisor, and resolves when it has acted. */
  async ask(service: string, command: Command): Promise<void> {
    const request = await this.soon(() => {
      const made = this.rundir.request(service, command);
      if (made === -E.NOENT) return null;
      if (typeof made === "number") throw new Trouble(`cannot ask: ${libc.strerror(made)}`);
      return made;
    });
    try {
      this.watch(`${this.place.rundir}/${service}/control`);
      await this.soon(() => request.isAnswered() || null);
    } finally {
      request.close();
    }
  }

  private async soon<T>(condition: () => T | null): Promise<T> {
    const value = await this.changes.until(condition, SUPERVISOR_LIMIT);
    if (value === null) throw new Trouble("the supervisor does not answer");
    return value;
  }

  /** Calls off the start that is due, if one is; resolves when what was started meanwhile has ended. */
  async callOff(m: Managed): Promise<boolean> {
    if (!this.isDue(m)) return false;
    const { service } = m;
    await this.ask(service, "down");
    const process = this.processOf(service);
    if (process) await this.end(service, process);
    return true;
  }

  /** Resolves to how that process of the program has ended. */
  async end(service: string, process: ProcessId): Promise<Exit> {
    const exit = await this.changes.until<Exit>(() => {
      const status = this.rundir.status(service);
      if (status?.process?.pid === process.pid && status.process.started === process.started) {
        return null;
      }
      return status?.exit ?? { unknown: true };
    });
    return exit ?? { unknown: true };
  }

  /**
   * Starts it as the order says; resolves when the script has what it needs. With `beside`, the old
   * process runs on, and is not the program any more.
   */
  async launch(m: Managed, order: Order, beside = false): Promise<void> {
    // Else the supervisor, which is about to start it, could do so beside what we start.
    if (!beside) await this.callOff(m);
    const service = this.freeService(m, beside);
    this.held.add(service);
    try {
      const code = this.services.write(service, m.program);
      if (code < 0) throw new Trouble(`cannot write its service: ${libc.strerror(code)}`);
      await this.start(m, service, order);
    } finally {
      this.held.delete(service);
      this.tidy();
    }
  }

  private async start(m: Managed, service: string, order: Order): Promise<void> {
    const path = `${this.place.orders}/${service}`;
    const failure = failurePath(this.place, service);
    removeFile(failure);
    const code = putFile(path, formatOrder(order), 0o600);
    if (code < 0) throw new Trouble(`cannot write its order: ${libc.strerror(code)}`);
    const before = this.rundir.status(service)?.runs ?? 0;
    const previous = m.service;
    // From here on a daemon that finds this one dead takes the new process for the program.
    if (service !== previous) this.switchTo(m, service);
    try {
      await this.begin(service, path, failure, before);
    } catch (error) {
      removeFile(path);
      this.letGo(service);
      if (service !== previous) this.switchBack(m, previous);
      throw error;
    }
  }

  /** Resolves when the script has what it needs. */
  private async begin(service: string, order: string, failure: string, before: number) {
    await this.soon(() => (typeof this.rundir.status(service)?.runs === "number" ? true : null));
    this.watch(`${this.place.rundir}/${service}`);
    await this.ask(service, "up");
    const outcome = await this.soon(() => this.outcome(service, order, failure, before));
    if (outcome !== "") throw new Trouble(outcome);
  }

  /**
   * "" once the script has begun; why it could not; null: neither yet. The status is looked at
   * first: it may begin and end while we look at the rest.
   */
  private outcome(service: string, order: string, failure: string, before: number): string | null {
    const status = this.rundir.status(service);
    const said = libc.readFile(failure);
    if (typeof said === "string") return said.replace(/^procmgr: fatal: /, "").trim();
    if (typeof libc.lstat(order) === "number") return "";
    if (status?.state === "failed") return `cannot start: ${status.reason}`;
    const ended = status && status.runs > before && status.process === null;
    return ended ? "it ended before it could begin" : null;
  }

  private freeService(m: Managed, beside: boolean): string {
    for (let n = 1; ; n++) {
      const service = otherService(m.program.name, n);
      const taken = this.isAlive(service) || this.held.has(service);
      if (!taken && !(beside && service === m.service)) return service;
    }
  }

  private switchTo(m: Managed, service: string): void {
    this.letGo(m.service);
    this.fading.set(m.service, m.program.name);
    this.setCurrent(m, service);
  }

  /** The old process is the program again, as if nothing had been asked. */
  private switchBack(m: Managed, previous: string): void {
    this.fading.set(m.service, m.program.name);
    this.setCurrent(m, previous);
    if (m.program.restartDelay !== null) this.keep(previous);
  }

  /** Removes what has ended and is nobody's any more. */
  tidy(): void {
    for (const [service, name] of this.fading) {
      if (this.held.has(service) || this.isAlive(service)) continue;
      const m = this.known.get(name);
      this.fading.delete(service);
      if (m?.service !== service) this.services.remove(service);
      else if (!m.listed) this.forget(m);
    }
  }

  private forget(m: Managed): void {
    this.services.remove(m.service);
    this.known.delete(m.program.name);
    removeFile(`${this.place.current}/${serviceName(m.program.name)}`);
  }

  private isAlive(service: string): boolean {
    return this.processOf(service) !== null || this.isStarting(service);
  }

  private isStarting(service: string): boolean {
    return this.rundir.status(service)?.state === "starting";
  }
}
