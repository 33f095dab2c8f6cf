/** A procmgr daemon that works: what wakes it, and what it does then. */
import { REQUESTS_PER_USER } from "../../../config.ts";
import { escapeBytes } from "../../bytes.ts";
import { Failure } from "../../cli.ts";
import { cleanEnvironment, ownCommand } from "../../environment.ts";
import { putFile, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { IN } from "../../libc.ts";
import { Log } from "../../log.ts";
import * as proc from "../../proc.ts";
import { RunDir } from "../../rundir.ts";
import type { Exit, ProcessId } from "../../status.ts";
import type { Level } from "../../transition.ts";
import { Watcher } from "../../watch.ts";
import { openNull } from "../background.ts";
import type { ScannerChild } from "../scanner-child.ts";
import { describeBug, handleSignals } from "../signals.ts";
import { Actions } from "./actions.ts";
import { identify } from "./caller.ts";
import { Changes } from "./changes.ts";
import { ACTIONS, type Action, type Config } from "./config.ts";
import { describeProblems, isUsable, readConfig } from "./config-file.ts";
import { LAUNCH } from "./launch.ts";
import { formatOrder, type Order } from "./order.ts";
import { isAllowed } from "./permission.ts";
import { announce, leavePlace, type Place } from "./place.ts";
import { type Managed, Programs } from "./programs.ts";
import { type Answer, formatRequest, type Request, refusal, TROUBLE } from "./request.ts";
import { Services } from "./services.ts";
import { Spool, type Taken } from "./spool.ts";
import { supervisorOf } from "./supervisor.ts";

export type DaemonOptions = {
  /** The configuration file, by its absolute path. */
  readonly conf: string;
  readonly pidfile: string | null;
  /** The soft limit on open descriptors that scripts get. */
  readonly nofile: number;
  readonly umask: number;
  readonly level: Level;
  /** The group that is started at once: that of the configuration, this one, or none. */
  readonly autostart: { readonly group: string } | "configured" | "none";
};

/** Looking at new requests gives way to other events after this. */
const ADMIT_SLICE = 20;

/** Everything is looked at this often, in case an event was lost; or where there are no events. */
const LOOK_INTERVAL = 60_000;
const LOOK_INTERVAL_BLIND = 200;

/** What was answered is looked after this often, and removed after so long at the latest. */
const SWEEP_INTERVAL = 1_000;
const ANSWER_KEPT = 60_000;

const STOPPING = "the daemon is stopping";

export class Daemon {
  private readonly log: Log;
  private readonly changes = new Changes();
  private readonly watcher: Watcher | null;
  private readonly watched = new Set<string>();
  private readonly rundir: RunDir;
  private readonly spool: Spool;
  private readonly supervisor: ScannerChild;
  private readonly programs: Programs;
  private readonly actions: Actions;
  private readonly ended = Promise.withResolvers<number>();
  /** Names in the spool that were not looked at yet. */
  private readonly arrived = new Set<string>();
  private admitting = false;
  /** Requests that are worked on, by name; how many, by user. */
  private readonly active = new Map<string, Taken>();
  private readonly load = new Map<number, number>();
  /** Answered ones that their clients have not removed yet. */
  private readonly answered = new Map<string, { client: ProcessId | null; at: number }>();
  private sweepTimer: Timer | null = null;
  private lookTimer: Timer | null = null;
  /** What to do at the end of a child. */
  private readonly children = new Map<number, (exit: Exit) => void>();
  private scripts = 0;
  private ending = false;

  /** The place was claimed. Throws Failure. */
  constructor(
    private readonly place: Place,
    private readonly options: DaemonOptions,
    private config: Config,
  ) {
    const { level, nofile } = options;
    this.log = new Log("procmgr", level);
    const rundir = RunDir.make(place.rundir);
    if (typeof rundir === "number") {
      throw new Failure(`cannot open ${place.rundir}: ${libc.strerror(rundir)}`);
    }
    this.rundir = rundir;
    this.spool = new Spool(place.spool);
    this.watcher = this.openWatcher();
    const services = new Services(place, nofile);
    const watch = (path: string) => this.watch(path);
    this.programs = new Programs(place, rundir, services, this.changes, watch);
    this.actions = new Actions(this.programs, (order) => this.runScript(order), nofile);
    this.supervisor = supervisorOf(place, rundir, options, (text) => this.complain(text));
  }

  /** Resolves to the exit code when all programs have ended. `ready` is called once it works. */
  run(ready: () => void): Promise<number> {
    this.handleSignals();
    this.programs.recover();
    this.adopt();
    this.supervisor.ensure();
    for (const path of [this.place.orders, this.place.rundir]) this.watch(path);
    this.refuseAbandoned();
    this.watcher?.add(this.place.spool, IN.MOVED_TO, (_, name) => this.arrived.add(name));
    this.look();
    announce(this.place);
    this.autostart();
    ready();
    return this.ended.promise;
  }

  private complain(text: string): void {
    this.log.write("error", escapeBytes(text));
  }

  private handleSignals(): void {
    handleSignals({
      reap: () => this.reap(),
      end: (signal) => void this.end(signal),
      on: { SIGHUP: () => this.reload() },
      reportBug: (error) => this.complain(describeBug(error)),
    });
  }

  // ----------------------------------------------------------------- watching

  private openWatcher(): Watcher | null {
    const watcher = Watcher.open(
      () => this.look(),
      () => this.wake(),
    );
    if (typeof watcher !== "number") return watcher;
    this.complain(`cannot watch files: ${libc.strerror(watcher)}; looking instead`);
    return null;
  }

  private watch(path: string): void {
    if (this.watched.has(path)) return;
    const mask = IN.MOVED_TO | IN.MOVED_FROM | IN.CREATE | IN.DELETE | IN.ONLYDIR;
    const watch = this.watcher?.add(path, mask, (kind) => {
      if (kind & IN.IGNORED) this.watched.delete(path);
    });
    if (typeof watch !== "number") this.watched.add(path);
  }

  private wake(): void {
    this.programs.tidy();
    this.changes.notify();
    this.admit();
  }

  /** Looks for what no event told. */
  private look(): void {
    if (this.ending) return;
    if (this.lookTimer) clearTimeout(this.lookTimer);
    const interval = this.watcher ? LOOK_INTERVAL : LOOK_INTERVAL_BLIND;
    this.lookTimer = setTimeout(() => this.look(), interval);
    this.reap();
    for (const name of this.spool.names()) this.arrived.add(name);
    this.wake();
  }

  // ------------------------------------------------------------ configuration

  private adopt(): void {
    const wanted = this.config.programs;
    for (const problem of this.programs.adopt(wanted)) this.complain(problem);
  }

  /** Takes a new configuration; one with errors changes nothing. */
  private reload(): void {
    if (this.ending) return;
    const { conf } = this.options;
    const found = readConfig(conf);
    if ("reason" in found) {
      return this.complain(`cannot read ${conf}: ${found.reason}; nothing is changed`);
    }
    for (const problem of describeProblems(conf, found.problems)) this.complain(problem);
    if (!isUsable(found)) return this.complain("nothing is changed");
    const { config } = found;
    if (config.socket !== this.config.socket) {
      this.complain(`socket-path stays ${this.config.socket} until the daemon is started again`);
    }
    this.config = { ...config, socket: this.config.socket };
    this.adopt();
    this.log.write("info", `configuration reloaded: ${config.programs.size} programs`);
  }

  private autostart(): void {
    const { autostart } = this.options;
    if (autostart === "none") return;
    const group = autostart === "configured" ? this.config.doAutostart : autostart.group;
    for (const m of this.programs.all) {
      if (group === null || !m.listed || !m.program.autostart.includes(group)) continue;
      if (!this.programs.running(m)) void this.startAlone(m);
    }
  }

  private async startAlone(m: Managed): Promise<void> {
    const { error } = await this.actions.perform(m, "start", { args: [], caller: null });
    if (error !== undefined) this.complain(`${m.program.name}: cannot start: ${error}`);
  }

  // ----------------------------------------------------------------- requests

  /** Those that an earlier daemon was working on when it died: what came of them is not known. */
  private refuseAbandoned(): void {
    const names = libc.readDirectory(this.place.accepted);
    for (const name of typeof names === "number" ? [] : names) {
      const taken = this.spool.take(name);
      if (taken) this.finish(taken, refusal("the daemon was killed while it worked on this"));
      removeFile(`${this.place.accepted}/${name}`);
    }
  }

  /** Looks at some of the requests that have arrived, then at other things, then at more. */
  private admit(): void {
    if (this.ending || this.admitting) return;
    const begun = performance.now();
    for (const name of this.arrived) {
      this.arrived.delete(name);
      this.consider(name);
      if (performance.now() > begun + ADMIT_SLICE) break;
    }
    this.admitting = this.arrived.size > 0;
    if (!this.admitting) return;
    setImmediate(() => {
      this.admitting = false;
      this.admit();
    });
  }

  private consider(name: string): void {
    if (this.active.has(name) || this.answered.has(name)) return;
    const taken = this.spool.take(name, (uid) => this.overload(uid));
    if (!taken) return;
    const { request, owner } = taken;
    if ("refused" in request) return this.refuse(taken, request.refused);
    const identity = identify(request.client, owner);
    if ("gone" in identity) return this.drop(taken);
    if ("refused" in identity) return this.refuse(taken, identity.refused);
    libc.close(identity.pidfd);
    const m = this.programs.get(request.program);
    const action = ACTIONS.find((a) => a === request.action);
    if (!action) return this.refuse(taken, `no such action: ${request.action.slice(0, 80)}`);
    if (!m) return this.refuse(taken, `no such program: ${request.program.slice(0, 80)}`);
    if (!isAllowed(m.program, action, owner.uid, owner.gid)) {
      return this.refuse(taken, "permission denied");
    }
    void this.perform(taken, request, m, action);
  }

  private overload(uid: number): string | null {
    const isFull = (this.load.get(uid) ?? 0) >= REQUESTS_PER_USER;
    return isFull ? `more than ${REQUESTS_PER_USER} requests at once` : null;
  }

  private drop({ name, dir }: Taken): void {
    libc.close(dir);
    this.spool.discard(name);
  }

  private refuse(taken: Taken, why: string): void {
    const { uid, gid } = taken.owner;
    const what =
      "refused" in taken.request ? "" : `${taken.request.action} ${taken.request.program} `;
    const who = `uid ${uid}, gid ${gid}`;
    this.log.write(
      "info",
      `${escapeBytes(what.slice(0, 200))}(${who}) refused: ${escapeBytes(why)}`,
    );
    this.finish(taken, refusal(why));
  }

  private async perform(taken: Taken, request: Request, m: Managed, action: Action): Promise<void> {
    const { name, owner } = taken;
    const record = `${this.place.accepted}/${name}`;
    this.active.set(name, taken);
    this.load.set(owner.uid, (this.load.get(owner.uid) ?? 0) + 1);
    putFile(record, formatRequest(request), 0o600);
    this.log.write("debug", `${escapeBytes(m.program.name)}: ${action} (uid ${owner.uid})`);
    const caller = { client: request.client, owner, request: `${this.place.spool}/${name}` };
    let answer: Answer = { code: TROUBLE, error: "internal error" };
    try {
      answer = await this.actions.perform(m, action, { args: request.args, caller });
    } catch (error) {
      this.complain(describeBug(error));
    }
    // The end of the daemon may have answered it.
    if (this.active.delete(name)) this.finish(taken, answer);
    this.load.set(owner.uid, (this.load.get(owner.uid) ?? 1) - 1);
    removeFile(record);
  }

  /** Answers, and sees to it that nothing stays if the client does not remove it. */
  private finish(taken: Taken, answer: Answer): void {
    const { name, dir, request } = taken;
    const client = "refused" in request ? null : request.client;
    this.spool.answer(taken, answer);
    libc.close(dir);
    this.answered.set(name, { client, at: performance.now() });
    this.sweepTimer ??= setTimeout(() => this.sweep(), SWEEP_INTERVAL);
  }

  private sweep(): void {
    this.sweepTimer = null;
    for (const [name, { client, at }] of this.answered) {
      const waits = client === null || proc.isAlive(client.pid, client.started);
      const kept = waits && performance.now() < at + ANSWER_KEPT;
      if (kept && this.spool.exists(name)) continue;
      this.spool.discard(name);
      this.answered.delete(name);
    }
    if (this.answered.size > 0) this.sweepTimer = setTimeout(() => this.sweep(), SWEEP_INTERVAL);
  }

  // ------------------------------------------------------------------ scripts

  /** In a session, and so in a process group, of its own. */
  private runScript(order: Order): Promise<Exit> {
    const { promise, resolve } = Promise.withResolvers<Exit>();
    const name = `.script.${process.pid}.${++this.scripts}`;
    putFile(`${this.place.orders}/${name}`, formatOrder(order), 0o600);
    const none = openNull();
    const pid = libc.spawn({
      path: "/proc/self/exe",
      argv: [...ownCommand("procmgr"), LAUNCH.script, this.place.socket, name],
      env: new libc.Strings(cleanEnvironment()),
      fds: [
        [none, 0],
        [none, 1],
      ],
      cwd: "/",
      limits: libc.getFileLimits(),
      umask: this.options.umask,
    });
    libc.close(none);
    if (pid > 0) this.children.set(pid, resolve);
    else {
      this.complain(`cannot run a script: ${libc.strerror(pid)}`);
      resolve({ code: TROUBLE });
    }
    return promise.finally(() => removeFile(`${this.place.orders}/${name}`));
  }

  private reap(): void {
    for (let child = libc.reap(); child; child = libc.reap()) {
      const { code, signal } = child.status;
      this.children.get(child.pid)?.(code !== null ? { code } : { signal: signal ?? 0 });
      this.children.delete(child.pid);
    }
  }

  // ---------------------------------------------------------------------- end

  private async end(why: string): Promise<void> {
    if (this.ending) return this.supervisor.terminate();
    this.ending = true;
    this.log.write("info", `${why}: stopping all programs`);
    const waiting = this.spool.names().filter((n) => !this.answered.has(n) && !this.active.has(n));
    const unread = waiting.map((name) => this.spool.take(name, () => STOPPING));
    for (const taken of [...this.active.values(), ...unread]) {
      if (taken) this.finish(taken, refusal(STOPPING));
    }
    this.active.clear();
    if (this.lookTimer) clearTimeout(this.lookTimer);
    await this.supervisor.stop();
    leavePlace(this.place);
    if (this.options.pidfile !== null) removeFile(this.options.pidfile);
    this.ended.resolve(0);
  }
}
