/** A client's waiting: woken by changes in RUNDIR, or, where inotify is not to be had, now and then. */
import { CLIENT_POLL, SCAN_INTERVAL, STATUS_GRACE } from "../config.ts";
import { IN } from "./libc.ts";
import type { RunDir } from "./rundir.ts";
import type { Status } from "./status.ts";
import { type Watch, Watcher } from "./watch.ts";

const LOST = IN.DELETE_SELF | IN.MOVE_SELF | IN.IGNORED;

/** What clients share: one inotify instance, or none, opened for the first who asks. */
export function sharedWatcher(): () => Watcher | null {
  const nothing = () => {};
  let watcher: Watcher | number | null = null;
  return () => {
    watcher ??= Watcher.open(nothing, nothing);
    return typeof watcher === "number" ? null : watcher;
  };
}

export class Alarm {
  private readonly watches = new Map<string, Watch | null>();
  private wake: (() => void) | null = null;
  private pending = false;

  constructor(private readonly watcher = sharedWatcher()) {}

  /** Something is not watched, or not any more: every CLIENT_POLL is looked at it instead. */
  get isBlind(): boolean {
    return [...this.watches.values()].includes(null);
  }

  /** Rings at every change of a service's status, and when its waiting begins or ends. */
  watchService(rundir: RunDir, name: string): void {
    this.watch(name, rundir.watchPath(name), IN.MOVED_TO | IN.CREATE | IN.DELETE | LOST);
  }

  /** The status of a service; one that sysmgr could not write is waited for, but not for long. */
  async statusOf(
    rundir: RunDir,
    name: string,
    deadline = performance.now() + STATUS_GRACE,
  ): Promise<Status | null> {
    const found = rundir.status(name);
    if (found || !rundir.isMet(name)) return found;
    this.watchService(rundir, name);
    for (;;) {
      const status = rundir.status(name);
      if (status || !rundir.isMet(name) || !(await this.ring(deadline))) return status;
    }
  }

  /** Watches a path under a key, unless that is watched already. */
  watch(key: string, path: string, mask: number): void {
    if (this.watches.get(key)) return;
    const onChange = (what: number) => {
      if (what & LOST) this.lose(key);
      this.pending = true;
      this.wake?.();
    };
    const watch = this.watcher()?.add(path, mask & ~IN.IGNORED, onChange);
    this.watches.set(key, typeof watch === "object" ? watch : null);
  }

  /** Watches that no more. */
  forget(key: string): void {
    this.lose(key);
    this.watches.delete(key);
  }

  /** What was watched is gone: until it is watched again we look now and then. */
  private lose(key: string): void {
    const watch = this.watches.get(key);
    if (watch) this.watcher()?.remove(watch);
    this.watches.set(key, null);
  }

  /** All is gone. */
  reset(): void {
    for (const key of this.watches.keys()) this.lose(key);
  }

  /**
   * Waits for the next change, or until it is time to look whether one was missed, as the scanner
   * does; false when the deadline (performance.now()) came first.
   */
  async ring(deadline: number): Promise<boolean> {
    const left = deadline - performance.now();
    if (left <= 0) return false;
    if (!this.pending) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      const timer = setTimeout(resolve, Math.min(left, this.isBlind ? CLIENT_POLL : SCAN_INTERVAL));
      await promise;
      clearTimeout(timer);
    }
    this.pending = false;
    return true;
  }
}
