/** Commands to services, and the waiting until it is so. */
import { Alarm, sharedWatcher } from "../alarm.ts";
import { escapeBytes } from "../bytes.ts";
import { err, type Options } from "../cli.ts";
import * as libc from "../libc.ts";
import { E, IN } from "../libc.ts";
import { Progress, waitingFor } from "../progress.ts";
import { type Command, loggerOf, type Request, RunDir } from "../rundir.ts";
import type { Status } from "../status.ts";
import type { SysDir } from "../sysdir.ts";
import { formatAge } from "../transition.ts";
import type { Operation } from "./operations.ts";
import { printLines, show } from "./shown.ts";

/** Carries out one operation on services, all at the same time. */
export class Control {
  private readonly watcher = sharedWatcher();
  private readonly deadline: number;
  private readonly progress: Progress;
  /** How many services are meant, and those of them for which it is not done. */
  private count = 0;
  private readonly left = new Set<string>();

  constructor(
    private rundir: RunDir,
    private readonly source: SysDir,
    private readonly operation: Operation,
    private readonly options: Options,
    private readonly timeout: number,
  ) {
    this.deadline = performance.now() + timeout;
    const words = () =>
      `${this.count - this.left.size} of ${this.count} done, ${waitingFor(this.left)}`;
    this.progress = new Progress(words, options.has("q"));
  }

  async all(names: readonly string[]): Promise<boolean> {
    this.count = new Set(names).size;
    const problems = await Promise.all(names.map((name) => this.one(name)));
    this.progress.end();
    const failed = problems.filter((p) => p !== null);
    err(failed.map((p) => `svctl: ${p}\n`).join(""));
    return failed.length === 0;
  }

  /** What went wrong, or null. */
  private async one(name: string): Promise<string | null> {
    this.left.add(name);
    const problem = await this.act(name);
    this.left.delete(name);
    if (problem !== null || !this.operation.withLogger || this.options.has("n")) return problem;
    return this.rundir.status(name)?.logger ? await this.one(loggerOf(name)) : null;
  }

  private async act(name: string): Promise<string | null> {
    const alarm = new Alarm(this.watcher);
    const { needsProcess, skipsIdle } = this.operation;
    const before =
      needsProcess || skipsIdle
        ? await alarm.statusOf(this.rundir, name)
        : this.rundir.status(name);
    const isUnknown = !before && this.rundir.isMet(name);
    if (needsProcess && !before?.process && !isUnknown)
      return `${escapeBytes(name)}: is not running`;
    // A signal does no harm to what does not run; a restart would start it.
    if (skipsIdle && isUnknown) return `${escapeBytes(name)}: its status cannot be read`;
    if (skipsIdle && !before?.process) return null;
    for (const command of this.operation.commands) {
      const problem = await this.send(name, command, alarm, this.deadline);
      if (problem !== null) return problem;
    }
    if (this.options.has("n")) return null;
    // A signal that was answered is sent: there is nothing to look for.
    const problem = needsProcess ? null : await this.reach(name, before, alarm, this.deadline);
    if (problem !== null) return problem;
    this.progress.hide();
    if (!this.options.has("q")) printLines([show(this.rundir, name)]);
    return null;
  }

  /**
   * Puts the command into the drop box and waits for the answer. It is watched for afterwards:
   * sysmgr works meanwhile, and what was missed is seen by looking.
   */
  private async send(
    name: string,
    command: Command,
    alarm: Alarm,
    deadline: number,
  ): Promise<string | null> {
    let request = this.rundir.request(name, command);
    // A service that is so new that sysmgr has not made its directory yet.
    while (request === -E.NOENT) {
      alarm.watchService(this.rundir, name);
      request = this.rundir.request(name, command);
      if (request === -E.NOENT && !(await alarm.ring(deadline))) break;
    }
    if (typeof request === "number") {
      const path = escapeBytes(this.rundir.requestPath(name, command));
      return `cannot write ${path}: ${libc.strerror(request)}`;
    }
    if (this.options.has("n")) return null;
    alarm.watchService(this.rundir, name);
    alarm.watch(command, request.watchPath, IN.ATTRIB);
    while (!request.isAnswered()) {
      if (!(await alarm.ring(deadline))) return this.unanswered(name, request);
    }
    alarm.forget(command);
    request.close();
    return null;
  }

  private unanswered(name: string, request: Request): string {
    request.close();
    return `${escapeBytes(name)}: no answer after ${formatAge(this.timeout)}`;
  }

  /** Waits until it is really so. */
  private async reach(
    name: string,
    before: Status | null,
    alarm: Alarm,
    deadline: number,
  ): Promise<string | null> {
    const { goal, wish, forced } = this.operation;
    const { check, notificationFd } = this.source.settings(name);
    const speaks = check || notificationFd !== null;
    /** Running is enough for a service that does not say when it is ready. */
    const isReady = (s: Status) => !s.process || !speaks || s.state === "up";
    // An operation without a command has not begun to watch.
    alarm.watchService(this.rundir, name);
    for (;;) {
      this.refresh(name, alarm);
      const status = this.rundir.status(name);
      if (status && goal(status, before) && isReady(status)) return null;
      // It was removed meanwhile, and has ended.
      if (wish === "down" && before && this.isForgotten(name)) return null;
      if (status?.state === "failed" && wish !== "down") {
        return `${escapeBytes(name)}: cannot start: ${escapeBytes(status.reason ?? "")}`;
      }
      if (await alarm.ring(deadline)) continue;
      const force = forced || (wish === "down" && this.options.has("force"));
      if (force && deadline === this.deadline) {
        return await this.force(name, before, alarm);
      }
      return `${escapeBytes(name)}: not ${wish} after ${formatAge(this.timeout)}${whyNot(status, wish)}`;
    }
  }

  private isForgotten(name: string): boolean {
    return !this.rundir.isMet(name) && this.rundir.isCurrent() && this.rundir.supervisor() !== null;
  }

  /** RUNDIR may have been made anew while we waited. */
  private refresh(name: string, alarm: Alarm): void {
    const isCurrent = this.rundir.isCurrent();
    if (!alarm.isBlind && isCurrent) return;
    const fresh = isCurrent ? this.rundir : RunDir.open(this.rundir.path);
    if (typeof fresh === "number") return;
    if (!isCurrent) alarm.reset();
    this.rundir = fresh;
    alarm.watchService(fresh, name);
  }

  private async force(name: string, before: Status | null, alarm: Alarm): Promise<string | null> {
    const later = performance.now() + this.timeout;
    const problem = await this.send(name, "kill", alarm, later);
    return problem ?? (await this.reach(name, before, alarm, later));
  }
}

function whyNot(status: Status | null, wish: string): string {
  const ready = status?.state === "starting" && wish !== "down" ? "is not ready" : "still runs";
  if (status?.process) return ` (pid ${status.process.pid} ${ready})`;
  if (status?.next == null) return "";
  return ` (next start in ${formatAge(Math.max(0, status.next - Date.now()))})`;
}
