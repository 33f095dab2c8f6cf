/** A pmtr that works: what wakes it, and what it does then. */
import { escapeBytes } from "../../bytes.ts";
import { putFile, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import * as proc from "../../proc.ts";
import { RunDir } from "../../rundir.ts";
import { Watcher } from "../../watch.ts";
import type { ScannerChild } from "../scanner-child.ts";
import { describeBug, handleSignals } from "../signals.ts";
import type { Config } from "./config.ts";
import type { Command, Reported } from "./datagrams.ts";
import { FileWatch } from "./file-watch.ts";
import type { Messages } from "./messages.ts";
import { leavePlace, type Place } from "./place.ts";
import { printConfig } from "./printer.ts";
import { describeProblems, readConfig, stampOf } from "./read.ts";
import { Reconciler } from "./reconciler.ts";
import { MessagePipe, type ScannerOptions, scannerOf } from "./scanner.ts";
import type { Context } from "./script.ts";
import { Store } from "./store.ts";
import { Udp } from "./udp.ts";

export type ManagerOptions = {
  /** The configuration file, by its absolute path. */
  readonly conf: string;
  readonly pidfile: string | null;
  readonly context: Context;
  readonly scanner: ScannerOptions;
  /** Messages show what was parsed. */
  readonly showParsed: boolean;
};

/** An editor may write a file that jobs depend on in several steps. */
const DEPENDS_PAUSE = 100;

/** Everything is looked at this often, in case an event was lost; or where there are no events. */
const LOOK_INTERVAL = 300_000;
const LOOK_INTERVAL_BLIND = 1_000;

/** Without an event that tells, a file that was changed later than this may still be written. */
const SETTLED = 1_000;

export class Manager {
  private readonly rundir: RunDir;
  private readonly watcher: Watcher | null;
  private readonly reconciler: Reconciler;
  private readonly scanner: ScannerChild;
  private readonly pipe: MessagePipe;
  private readonly store: Store;
  private readonly ended = Promise.withResolvers<number>();
  /** What was read last, good or bad: an event that changes nothing is nothing. */
  private text: string | null = null;
  private stamp = "";
  private unreadable = "";
  private readonly watched = new Map<string, FileWatch>();
  private dependsTimer: Timer | null = null;
  private lookTimer: Timer | null = null;
  private readonly udp: Udp;
  private ending = false;

  /** The place was claimed. */
  constructor(
    private readonly place: Place,
    private readonly options: ManagerOptions,
    private readonly messages: Messages,
  ) {
    const rundir = RunDir.make(place.rundir);
    if (typeof rundir === "number") throw new Error(libc.strerror(rundir));
    this.rundir = rundir;
    this.watcher = this.openWatcher();
    this.store = new Store(place.sysdir);
    const { context } = options;
    this.reconciler = new Reconciler(this.store, rundir, context, this.watcher, messages);
    this.scanner = scannerOf(place, rundir, options.scanner, messages, () => this.publish());
    const obey = this.obey.bind(this);
    this.udp = new Udp(messages, obey, () => this.reportedJobs());
    this.pipe = new MessagePipe(place, (line) => this.pass(line));
  }

  /** Resolves to the exit code when all jobs have ended. `ready` is called once they are begun. */
  run(ready: () => void): Promise<number> {
    this.handleSignals();
    this.watch(this.options.conf, () => this.read());
    const offline = !this.scanner.isThere;
    if (offline) this.forgetOtherBoot();
    this.read(offline);
    this.scanner.ensure();
    this.publish();
    this.look();
    ready();
    return this.ended.promise;
  }

  /** What is left of another boot, or another container, is no beginning: all is started anew. */
  private forgetOtherBoot(): void {
    const [boot, pidns] = [proc.bootId(), proc.pidNamespace()];
    const isOfThis = (name: string) => {
      const status = this.rundir.status(name);
      return status?.boot === boot && status.pidns === pidns;
    };
    if (this.rundir.services().some(isOfThis)) return;
    this.store.clear();
    this.rundir.empty();
  }

  private openWatcher(): Watcher | null {
    const watcher = Watcher.open(
      () => this.look(),
      () => {},
    );
    if (typeof watcher !== "number") return watcher;
    this.messages.write("error", `cannot watch files: ${libc.strerror(watcher)}; looking instead`);
    return null;
  }

  private handleSignals(): void {
    const rescan = () => this.rescan();
    handleSignals({
      reap: () => this.reap(),
      end: (signal) => void this.end(signal),
      on: { SIGHUP: rescan, SIGALRM: rescan },
      reportBug: (error) => this.messages.write("error", escapeBytes(describeBug(error))),
    });
  }

  /** The scanner's end is told by its pidfd; as PID 1 we get orphans, too. */
  private reap(): void {
    while (libc.reap());
  }

  /** A line of the scanner: its own begin with our name, then a service's. */
  private pass(line: string): void {
    const [, text = line] = line.match(/^pmtr: (.*)$/s) ?? [];
    const [, service, rest] = text.match(/^([^: ]+): (.*)$/s) ?? [];
    const named = service === undefined ? text : `${this.shownName(service)}: ${rest}`;
    this.messages.write("info", named);
  }

  private shownName(service: string): string {
    return escapeBytes(this.reconciler.jobName(service));
  }

  // ------------------------------------------------------------ configuration

  private rescan(): void {
    this.text = null;
    this.read();
    this.publish();
  }

  /** Reads the configuration; a good one that is new takes the place of the old one. */
  private read(offline = false): void {
    if (this.ending) return;
    const found = readConfig(this.options.conf);
    if ("reason" in found) return this.miss(found.reason);
    this.unreadable = "";
    this.stamp = found.stamp;
    if (found.text === this.text) return;
    this.text = found.text;
    if (found.problems.length > 0) return this.refuse(describeProblems(this.options.conf, found));
    if (this.options.showParsed) this.messages.write("debug", `parsed: ${oneLine(found.config)}`);
    this.reconciler.adopt(found.config, offline);
    this.udp.follow(found.config);
    if (!offline) this.publish();
  }

  private miss(reason: string): void {
    const text = `cannot read ${escapeBytes(this.options.conf)}: ${reason}; the jobs stay as they are`;
    if (text !== this.unreadable) this.messages.write("error", text);
    this.unreadable = text;
    this.stamp = "";
  }

  private refuse(problems: readonly string[]): void {
    for (const problem of problems) this.messages.write("error", problem);
    this.messages.write("error", "parse failed: the jobs stay as they are");
  }

  private publish(): void {
    if (this.ending) return;
    // Before they are read: no change may be missed.
    this.watchDependencies();
    this.reconciler.publish();
    if (this.blind) this.armLook();
  }

  /** Something that matters is not watched. */
  private get blind(): boolean {
    const watches = [...this.watched.values()];
    return !this.watcher || this.reconciler.isBlind || watches.some((w) => w.isBlind);
  }

  // ----------------------------------------------------------------- watching

  private watch(path: string, onChange: () => void): void {
    if (this.watcher) this.watched.set(path, new FileWatch(this.watcher, path, onChange));
  }

  private watchDependencies(): void {
    const wanted = this.reconciler.dependencies;
    const { conf } = this.options;
    for (const [path, watch] of this.watched) {
      if (path === conf || wanted.has(path)) continue;
      watch.dispose();
      this.watched.delete(path);
    }
    for (const path of wanted) {
      if (!this.watched.has(path)) this.watch(path, () => this.publishSoon());
    }
  }

  private publishSoon(): void {
    this.dependsTimer ??= setTimeout(() => {
      this.dependsTimer = null;
      this.publish();
    }, DEPENDS_PAUSE);
  }

  /** Looks for what no event told. */
  private look(): void {
    if (this.ending) return;
    const stat = libc.stat(this.options.conf);
    const changed = typeof stat !== "number" && stampOf(stat) !== this.stamp;
    const settled = typeof stat !== "number" && Math.abs(Date.now() - stat.modified) > SETTLED;
    if (typeof stat === "number") this.miss(libc.strerror(stat));
    else if (changed && settled) this.read();
    this.publish();
    this.armLook(changed && !settled);
  }

  private armLook(soon = false): void {
    if (this.lookTimer) clearTimeout(this.lookTimer);
    const interval = soon || this.blind ? LOOK_INTERVAL_BLIND : LOOK_INTERVAL;
    this.lookTimer = setTimeout(() => this.look(), interval);
  }

  // ---------------------------------------------------------------------- UDP

  private obey({ enable, names }: Command): void {
    if (this.ending) return;
    for (const name of names) this.reconciler.override(name, enable);
    this.watchDependencies();
  }

  private reportedJobs(): Reported[] {
    return this.reconciler.jobs
      .filter((job) => !job.once)
      .map((job) => {
        const process = this.reconciler.status(job)?.process ?? null;
        return {
          name: job.name,
          enabled: this.reconciler.isEnabled(job),
          seconds: process ? Math.floor(proc.ageOf(process.started) / 1000) : 0,
          pid: process?.pid ?? 0,
          program: job.cmd[0] ?? "",
        };
      });
  }

  // ---------------------------------------------------------------------- end

  private async end(why: string): Promise<void> {
    if (this.ending) return this.scanner.terminate();
    this.ending = true;
    this.messages.write("info", `${why}: stopping all jobs`);
    this.udp.close();
    this.reconciler.close();
    for (const watch of this.watched.values()) watch.dispose();
    for (const timer of [this.dependsTimer, this.lookTimer]) if (timer) clearTimeout(timer);
    await this.scanner.stop();
    this.pipe.drain();
    this.store.clear();
    leavePlace(this.place);
    if (this.options.pidfile !== null) removeFile(this.options.pidfile);
    this.ended.resolve(0);
  }
}

/** The process id, for those who look for it there; minus the errno where that cannot be. */
export function writePidfile(path: string): number {
  return putFile(path, `${process.pid}\n`);
}

function oneLine(config: Config): string {
  return printConfig(config)
    .trim()
    .replace(/\s*\n\s*/g, "; ");
}
