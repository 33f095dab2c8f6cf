/**
 * All services of a RUNDIR, looked at again and again.
 *
 * inotify tells which of them may have changed, so that a look at a thousand that have not costs
 * next to nothing; what is not watched is read every time.
 */
import { IN } from "../libc.ts";
import type { Shown } from "../report.ts";
import { loggerOf, RunDir } from "../rundir.ts";
import { type Watch, Watcher } from "../watch.ts";

const LOST = IN.DELETE_SELF | IN.MOVE_SELF;
const CHANGED = IN.MOVED_TO | IN.CREATE | IN.DELETE | LOST;

type Entry = {
  shown: Shown;
  /** Look at it again. */
  stale: boolean;
  watches: Watch[];
};

export class Census {
  private readonly entries = new Map<string, Entry>();
  private readonly watcher: Watcher | null;
  private root: Watch | null = null;
  private onChange: () => void = () => {};

  /** `once`: it will be looked at only once, so nothing is watched. */
  constructor(
    private rundir: RunDir,
    once?: "once",
  ) {
    const watcher = once ? null : Watcher.open(this.onOverflow, () => {});
    this.watcher = typeof watcher === "number" ? null : watcher;
    this.watchRoot();
  }

  get directory(): RunDir {
    return this.rundir;
  }

  /** Something is not watched: whoever wants to hear of changes has to look now and then. */
  get isBlind(): boolean {
    return this.root === null || [...this.entries.values()].some((e) => e.watches.length === 0);
  }

  /** Calls that whenever a look may find something new. */
  listen(onChange: () => void): void {
    this.onChange = onChange;
  }

  /** The services and loggers that sysmgr knows now, sorted by name; a logger after its service. */
  look(): Shown[] {
    this.followRundir();
    const found: Shown[] = [];
    const seen = new Set<string>();
    const add = (name: string): Shown => {
      const { shown } = this.refresh(name);
      seen.add(name);
      if (shown.status) found.push(shown);
      return shown;
    };
    for (const name of this.rundir.entries().sort()) {
      if (add(name).status?.logger) add(loggerOf(name));
    }
    for (const name of this.entries.keys()) if (!seen.has(name)) this.forget(name);
    return found;
  }

  private refresh(name: string): Entry {
    const entry = this.entries.get(name) ?? this.meet(name);
    if (entry.watches.length === 0) entry.watches = this.watch(name);
    if (!entry.stale && entry.watches.length > 0) return entry;
    const status = this.rundir.status(name);
    // What it waits for is in a directory of its own, which is there while it waits.
    if (status?.process && entry.watches.length === 1) {
      entry.watches.push(...this.watch(`${name}/waiting`, name));
    }
    const waiters = status?.process ? this.rundir.waiters(name, status.process) : [];
    // And nothing tells of one that was killed.
    entry.stale = waiters.length > 0;
    entry.shown = { name, status, waitingFor: waiters.flatMap((w) => w.services) };
    return entry;
  }

  private meet(name: string): Entry {
    const shown = { name, status: null, waitingFor: [] };
    const entry: Entry = { shown, stale: true, watches: [] };
    this.entries.set(name, entry);
    return entry;
  }

  private watch(path: string, name = path): Watch[] {
    const watch = this.watcher?.add(this.rundir.watchPath(path), CHANGED, this.onEvent, name);
    return typeof watch === "object" ? [watch] : [];
  }

  private readonly onEvent = (mask: number, _: string, name: string): void => {
    const entry = this.entries.get(name);
    if (entry) entry.stale = true;
    if (mask & LOST && entry) this.unwatch(entry);
    this.onChange();
  };

  private readonly onOverflow = (): void => {
    for (const entry of this.entries.values()) entry.stale = true;
    this.onChange();
  };

  private watchRoot(): void {
    const onChange = () => this.onChange();
    const path = this.rundir.watchPath(".");
    const watch = this.watcher?.add(path, CHANGED, onChange);
    this.root = typeof watch === "object" ? watch : null;
  }

  private unwatch(entry: Entry): void {
    for (const watch of entry.watches) this.watcher?.remove(watch);
    entry.watches = [];
  }

  private forget(name: string): void {
    const entry = this.entries.get(name);
    if (entry) this.unwatch(entry);
    this.entries.delete(name);
  }

  /** RUNDIR may have been removed and made again. */
  private followRundir(): void {
    if (this.rundir.isCurrent()) return;
    const fresh = RunDir.open(this.rundir.path);
    if (typeof fresh === "number") return;
    for (const name of [...this.entries.keys()]) this.forget(name);
    if (this.root) this.watcher?.remove(this.root);
    this.rundir.close();
    this.rundir = fresh;
    this.watchRoot();
  }
}
