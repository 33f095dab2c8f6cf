/**
 * Brings what runs to what pmtr.conf says: makes, changes and removes service directories, and asks
 * the scanner by its drop boxes. All that it must remember over a crash is in these files.
 */
import { absolutePath, escapeBytes } from "../../bytes.ts";
import { removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { E, IN } from "../../libc.ts";
import type { RunDir } from "../../rundir.ts";
import type { Status } from "../../status.ts";
import type { Watch, Watcher } from "../../watch.ts";
import { Bounces } from "./bounces.ts";
import { type Config, inOrder, type Job } from "./config.ts";
import { digestOf, digestOfText } from "./digest.ts";
import type { Messages } from "./messages.ts";
import { encodeName } from "./names.ts";
import { printJob } from "./printer.ts";
import { type Context, runScript, serviceFiles } from "./script.ts";
import type { Store } from "./store.ts";

/** How often is looked whether a removed job has ended, and the scanner has forgotten it. */
const TIDY_DELAY = 1_000;

/** What could not be written is tried again after this. */
const RETRY = 1_000;

const EMPTY: Config = { jobs: [], report: null, listen: null };

export class Reconciler {
  private config = EMPTY;
  /** Jobs that were enabled or disabled from outside, until the configuration is read again. */
  private readonly overrides = new Map<string, boolean>();
  /** Lives that were begun before a job was changed: what it waits for comes later. */
  private readonly runsBefore = new Map<string, number>();
  private readonly bounces: Bounces;
  private waiting: { readonly name: string; readonly watch: Watch | number } | null = null;
  /** Services of jobs that are no more: they are being stopped, then they are removed. */
  private readonly retired = new Set<string>();
  private tidyTimer: Timer | null = null;
  private retryTimer: Timer | null = null;
  /** What was said of a job that could not be written. */
  private readonly troubles = new Map<string, string>();
  /** What jobs are called, by their services; for messages. */
  private readonly names = new Map<string, string>();

  constructor(
    private readonly store: Store,
    private readonly rundir: RunDir,
    private readonly context: Context,
    private readonly watcher: Watcher | null,
    private readonly messages: Messages,
  ) {
    this.bounces = new Bounces(rundir, (name) => {
      this.messages.write("info", `${escapeBytes(this.jobName(name))}: bounced`);
      this.request(name, "restart");
    });
  }

  /**
   * A new configuration: stops what is not in it. publish() does the rest. `offline`: no scanner
   * works now; the next one must not begin with what is no more.
   */
  adopt(config: Config, offline = false): void {
    this.config = config;
    this.overrides.clear();
    for (const { name } of config.jobs) this.names.set(encodeName(name), name);
    this.retire(offline);
  }

  /** Enables or disables a job until the configuration is read again. */
  override(name: string, enabled: boolean): void {
    const job = this.config.jobs.find((j) => j.name === name);
    if (!job || this.isEnabled(job) === enabled) return;
    this.messages.write("info", `${escapeBytes(name)}: ${enabled ? "enabled" : "disabled"} by UDP`);
    this.overrides.set(name, enabled);
    this.retire();
    this.publish();
  }

  isEnabled(job: Job): boolean {
    return this.overrides.get(job.name) ?? !job.disable;
  }

  get jobs(): readonly Job[] {
    return this.config.jobs;
  }

  status(job: Job): Status | null {
    return this.rundir.status(encodeName(job.name));
  }

  /** The name of the job that a service was made from, where there is one. */
  jobName(service: string): string {
    return this.names.get(service) ?? service;
  }

  /** The files that jobs depend on, by absolute path. */
  get dependencies(): Set<string> {
    return new Set(this.enabled().flatMap((job) => this.dependenciesOf(job)));
  }

  /** Makes and changes the services of the jobs, in order, up to one that is waited for. */
  publish(): void {
    this.stopWaiting();
    const jobs = this.enabled();
    this.store.setOrder(jobs.map((job) => encodeName(job.name)));
    for (const job of jobs) {
      const name = encodeName(job.name);
      const origin = this.originOf(job);
      const before = this.store.origin(name);
      if (before === undefined && this.waiting) continue;
      this.retired.delete(name);
      if (before === undefined) this.add(name, job, origin);
      else if (before !== origin) this.change(name, job, origin);
      this.bounces.set(name, job.bounce);
      if (job.wait && !this.waiting) this.await(name);
    }
  }

  /** At the end: no timer rings any more. */
  close(): void {
    this.stopWaiting();
    this.bounces.close();
    for (const timer of [this.tidyTimer, this.retryTimer]) if (timer) clearTimeout(timer);
  }

  private enabled(): Job[] {
    return inOrder(this.config.jobs.filter((job) => this.isEnabled(job)));
  }

  /** Stops what the configuration does not have. */
  private retire(offline = false): void {
    const wanted = new Set(this.enabled().map((job) => encodeName(job.name)));
    for (const name of this.store.names) {
      if (wanted.has(name) || this.retired.has(name)) continue;
      this.retired.add(name);
      this.store.disown(name);
      this.runsBefore.delete(name);
      this.bounces.remove(name);
      if (offline) this.markDown(name);
      else this.request(name, "down");
      this.tidyLater();
    }
  }

  /** Only while no scanner works: it stages its own files under the same name. */
  private markDown(name: string): void {
    this.rundir.makeService(name);
    this.rundir.setMarker(name, "");
  }

  private add(name: string, job: Job, origin: string): void {
    // A job of that name, removed a while ago, may have left one.
    this.rundir.setMarker(name, null);
    this.check(job, this.store.add(name, serviceFiles(job, this.context), origin));
  }

  private change(name: string, job: Job, origin: string): void {
    const restart = () => {
      this.runsBefore.set(name, this.rundir.status(name)?.runs ?? 0);
      this.request(name, "restart");
    };
    this.messages.write("info", `${escapeBytes(job.name)}: changed`);
    this.check(job, this.store.change(name, serviceFiles(job, this.context), origin, restart));
  }

  /** Says once that a service cannot be written, and tries again until it can. */
  private check({ name }: Job, code: number): void {
    if (code >= 0) return void this.troubles.delete(name);
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = null;
      this.publish();
    }, RETRY);
    const text = `cannot write ${this.store.path}: ${libc.strerror(code)}`;
    if (this.troubles.get(name) === text) return;
    this.troubles.set(name, text);
    this.messages.write("error", `${escapeBytes(name)}: ${text}`);
  }

  /**
   * A service that the scanner has not met yet has no drop box, and needs none. What it was asked
   * before, and has not taken yet, is withdrawn: of two that it finds together it may take either
   * one first.
   */
  private request(name: string, command: "down" | "restart"): void {
    removeFile(this.rundir.requestPath(name, command === "down" ? "restart" : "down"));
    const request = this.rundir.request(name, command);
    if (typeof request !== "number") return request.close();
    if (request === -E.NOENT) return;
    const what = `cannot write ${this.rundir.requestPath(name, command)}`;
    this.messages.write("error", `${escapeBytes(what)}: ${libc.strerror(request)}`);
  }

  /** What a service is made from: if that changes, it is made again and restarted. */
  private originOf(job: Job): string {
    const files = this.dependenciesOf(job).map((p) => `# ${digestOf(p)} ${escapeBytes(p)}\n`);
    const run = `# ${digestOfText(runScript(job, this.context))} run\n`;
    return [printJob(job), run, ...files].join("");
  }

  private dependenciesOf(job: Job): string[] {
    const from = job.dir ?? this.context.cwd;
    return job.depends.map((p) => absolutePath(p.startsWith("/") ? p : `${from}/${p}`));
  }

  // -------------------------------------------------------------------- wait

  /** Nothing new is started before this one has ended. */
  private await(name: string): void {
    if (this.hasFinished(name)) return;
    this.rundir.makeService(name);
    const events = IN.MOVED_TO | IN.DELETE_SELF;
    const watch = this.watcher?.add(this.rundir.watchPath(name), events, (_, file) => {
      if (file === "status" && this.hasFinished(name)) this.publish();
    });
    this.waiting = { name, watch: watch ?? -E.NOENT };
    // It may have ended before it was watched.
    if (this.hasFinished(name)) this.stopWaiting();
  }

  /** What is waited for is not watched. */
  get isBlind(): boolean {
    return typeof this.waiting?.watch === "number";
  }

  private stopWaiting(): void {
    const watch = this.waiting?.watch;
    if (typeof watch === "object") this.watcher?.remove(watch);
    this.waiting = null;
  }

  /** A life that was begun for what the job says now is over. */
  private hasFinished(name: string): boolean {
    const status = this.rundir.status(name);
    if (!status) return false;
    const lives = status.runs - (this.runsBefore.get(name) ?? 0);
    return lives > 1 || (lives === 1 && status.process === null);
  }

  // -------------------------------------------------------------------- tidy

  private tidyLater(): void {
    this.tidyTimer ??= setTimeout(() => this.tidy(), TIDY_DELAY);
  }

  /**
   * Removes the services that have ended. Once the scanner has forgotten one, all that is left of
   * it is its stop marker.
   */
  private tidy(): void {
    this.tidyTimer = null;
    for (const name of this.retired) {
      const state = this.rundir.status(name)?.state ?? "down";
      if (state !== "down" && state !== "failed") continue;
      this.retired.delete(name);
      this.store.remove(name);
    }
    const known = this.rundir.services().filter((n) => this.store.origin(n) === undefined);
    for (const name of known) if (!this.rundir.hasStatus(name)) this.rundir.removeService(name);
    if (this.retired.size > 0 || known.length > 0) return this.tidyLater();
    const current = new Set(this.config.jobs.map((job) => job.name));
    for (const [name, job] of this.names) if (!current.has(job)) this.names.delete(name);
  }
}
