/**
 * Watches what a path leads to, whether or not it is there: every directory on the way, the links
 * and where they lead, and the file itself. An event means "look again".
 */
import { dirname } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import { E, IN } from "../../libc.ts";
import type { Watch, Watcher } from "../../watch.ts";

const CHANGED = IN.CLOSE_WRITE | IN.MOVED_TO | IN.MOVED_FROM | IN.CREATE | IN.DELETE;
const SELF = IN.DELETE_SELF | IN.MOVE_SELF;

/** More links than any path has; so a loop of them ends. */
const STEPS = 200;

type Step = { readonly dir: string; readonly name: string };

/** The directory and the name of each step on the way, links followed. */
export function stepsTo(path: string): Step[] {
  const parts = (text: string) => text.split("/").filter((p) => p !== "" && p !== ".");
  const steps: Step[] = [];
  const todo = parts(path);
  let dir = "/";
  for (let name = todo.shift(); name !== undefined && steps.length < STEPS; name = todo.shift()) {
    if (name === "..") {
      dir = dirname(dir);
      continue;
    }
    steps.push({ dir, name });
    const here = dir === "/" ? `/${name}` : `${dir}/${name}`;
    const target = libc.readLink(here);
    if (typeof target === "number") dir = here;
    else {
      if (target.startsWith("/")) dir = "/";
      todo.unshift(...parts(target));
    }
  }
  return steps;
}

export class FileWatch {
  private watches: Watch[] = [];
  private short = false;

  /** The path is absolute. */
  constructor(
    private readonly watcher: Watcher,
    private readonly path: string,
    private readonly onChange: () => void,
  ) {
    this.arm();
  }

  /** There were too few watches (inotify(7) has a limit): somebody has to look. */
  get isBlind(): boolean {
    return this.short;
  }

  dispose(): void {
    for (const watch of this.watches) this.watcher.remove(watch);
    this.watches = [];
  }

  private arm(): void {
    const before = this.watches;
    const steps = stepsTo(this.path).map(({ dir, name }) =>
      this.watcher.add(dir, CHANGED | SELF | IN.ONLYDIR, (mask, changed) => {
        if (changed === "" || (changed === name && !isBeingWritten(mask, dir, name))) this.look();
      }),
    );
    // A file that is mounted alone, as into a container, is changed without its directory.
    const file = this.watcher.add(this.path, IN.CLOSE_WRITE | SELF, () => this.look());
    const all = [...steps, file];
    this.watches = all.filter((w) => typeof w !== "number");
    this.short = all.includes(-E.NOSPC);
    for (const watch of before) this.watcher.remove(watch);
  }

  private look(): void {
    this.arm();
    this.onChange();
  }
}

/** A new file is looked at when it is closed, not when it is made; a link at once. */
function isBeingWritten(mask: number, dir: string, name: string): boolean {
  if (mask !== IN.CREATE) return false;
  const stat = libc.lstat(`${dir}/${name}`);
  return typeof stat !== "number" && stat.isFile && stat.links === 1;
}
