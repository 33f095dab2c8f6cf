/** SYSDIR: which services there should be, and what it takes to start one. */
import { basename, dirname } from "./bytes.ts";
import * as libc from "./libc.ts";
import { E, type FileStat, IN } from "./libc.ts";
import { isServiceName, loggedBy, loggerOf } from "./rundir.ts";
import { PLAIN, parseSettings, type Refusal, type Settings } from "./settings.ts";
import type { Watch, Watcher } from "./watch.ts";

/** How to start a service. */
export type Target = {
  readonly path: string;
  readonly argv: string[];
  readonly cwd?: string;
  readonly settings: Settings;
  /** What is wrong with the settings. */
  readonly problems: readonly string[];
};

/** Where services come from; the scanner needs no more than this. */
export interface Source {
  /** All names, loggers among them, or why they cannot be told now (then nothing is removed). */
  names(): string[] | { readonly reason: string };
  /** False: not there now. */
  has(name: string): boolean;
  /** How to start it, or why that cannot be done. */
  inspect(name: string): Target | Refusal;
  /** What stands beside its `run`, whether or not it can be started. */
  settings(name: string): Settings;
  /** Whether there is such a program beside its `run`, as far as the kernel would run it. */
  hasProgram(name: string, file: string): boolean;
  /** How to run that, such as `finish`, or why it must not be run. */
  inspectProgram(name: string, file: string): Target | { readonly reason: string };
  /** Tells of changes; returns minus the errno where that is not to be had. */
  watch(watcher: Watcher, on: SourceEvents): number;
  /** Tells of changes in what an entry leads to, for one that could not be started. */
  watchEntry(watcher: Watcher, name: string, onChange: () => void): Watch | number;
}

export type SourceEvents = {
  /** An entry came, went or changed. */
  readonly entry: (name: string) => void;
  /** A file is being written, or was linked in: look soon. */
  readonly unfinished: (name: string) => void;
  /** The whole may be another one now: read it again, watch it again. */
  readonly moved: () => void;
};

const CHANGED = IN.CLOSE_WRITE | IN.ATTRIB | IN.MOVED_TO | IN.CREATE;
const GONE = IN.MOVED_FROM | IN.DELETE;
const SELF = IN.DELETE_SELF | IN.MOVE_SELF;

export class SysDir implements Source {
  private watches: Watch[] = [];
  /** Why nothing in it may be run, as it was found when it was last read. */
  private distrust: string | null = null;
  private identity: { dev: number; real: string } | null = null;

  /** The path is absolute; its bytes as characters (bytes.ts). */
  constructor(readonly path: string) {}

  names(): string[] | { reason: string } {
    const entries = this.entries();
    if (!Array.isArray(entries)) return entries;
    return entries.flatMap((name) => (this.has(loggerOf(name)) ? [name, loggerOf(name)] : [name]));
  }

  /** The same without the loggers. */
  entries(): string[] | { reason: string } {
    this.distrust = this.weakness();
    if (this.distrust !== null) return { reason: `insecure: ${this.distrust}` };
    const all = libc.readDirectory(this.path);
    if (typeof all === "number") return { reason: libc.strerror(all) };
    const names = all.filter((name) => !name.startsWith("."));
    return this.isUnmounted(names.length === 0) ? { reason: "it is not mounted" } : names;
  }

  has(name: string): boolean {
    const path = `${this.path}/${name}`;
    if (loggedBy(name) === null) return libc.lstat(path) !== -E.NOENT;
    const stat = libc.stat(path);
    return typeof stat !== "number" && stat.isDirectory;
  }

  /**
   * Which service a path leads to: an entry, or the logger of one, by device and inode. Of several
   * entries that lead there, the preferred one. null: none.
   */
  nameAt(path: string, preferred?: string): string | null {
    const own = libc.stat(path);
    if (typeof own === "number") return null;
    if (dirname(path) === this.path) return basename(path);
    const entries = this.entries();
    const found = (Array.isArray(entries) ? entries : []).filter((name) => {
      const stat = libc.stat(`${this.path}/${name}`);
      return typeof stat !== "number" && stat.ino === own.ino && stat.dev === own.dev;
    });
    if (found.length > 0) return found.find((name) => name === preferred) ?? found[0] ?? null;
    if (basename(path) !== "log") return null;
    const owner = this.nameAt(dirname(path), preferred && (loggedBy(preferred) ?? preferred));
    return owner === null ? null : loggerOf(owner);
  }

  inspect(name: string): Target | Refusal {
    if (!isServiceName(name)) return { reason: "the name is reserved" };
    const path = `${this.path}/${name}`;
    const stat = this.lookToRun(name);
    if ("reason" in stat) return stat;
    if (stat.isDirectory) return inspectDirectory(path);
    if (!stat.isFile) return { reason: "neither a file nor a directory" };
    const executable = libc.executableAt(libc.AT_FDCWD, path) === 0;
    if (!executable) return { reason: "not executable" };
    return { path, argv: [path], settings: PLAIN, problems: [] };
  }

  settings(name: string): Settings {
    const stat = this.look(name);
    const readable = !("reason" in stat) && stat.isDirectory;
    return readable ? readSettings(`${this.path}/${name}`, () => {}) : PLAIN;
  }

  /** What an entry leads to, or why nothing of it may be used. */
  private look(name: string): FileStat | { reason: string } {
    const owner = loggedBy(name);
    const above = owner === null ? null : this.look(owner);
    if (above && "reason" in above) return above;
    const path = `${this.path}/${name}`;
    const entry = libc.lstat(path);
    if (typeof entry === "number") return { reason: libc.strerror(entry) };
    const stat = entry.isLink ? libc.stat(path) : entry;
    if (stat === -E.NOENT) return { reason: "dangling link" };
    if (typeof stat === "number") return { reason: libc.strerror(stat) };
    const through = entry.isLink ? insecurePath(path) : null;
    const weakness = insecure(entry) ?? insecure(stat) ?? through;
    return weakness === null ? stat : { reason: `insecure: ${weakness}` };
  }

  /** The same where something of it is to be run: SYSDIR must be trusted, too. */
  private lookToRun(name: string): FileStat | { reason: string } {
    if (this.distrust !== null) return { reason: `insecure: SYSDIR: ${this.distrust}` };
    return this.look(name);
  }

  hasProgram(name: string, file: string): boolean {
    const path = `${this.path}/${name}/${file}`;
    const stat = libc.stat(path);
    return typeof stat !== "number" && stat.isFile && libc.executableAt(libc.AT_FDCWD, path) === 0;
  }

  inspectProgram(name: string, file: string): Target | { reason: string } {
    const stat = this.lookToRun(name);
    if ("reason" in stat) return stat;
    const cwd = `${this.path}/${name}`;
    const path = `${cwd}/${file}`;
    // Between the two is `control`, or nothing.
    const dir = dirname(path);
    const why = (dir === cwd ? null : insecureAt(dir, libc.stat(dir))) ?? whyNotProgram(path);
    if (why !== null) return { reason: `${file}: ${why}` };
    return { path: `./${file}`, argv: [`./${file}`], cwd, settings: PLAIN, problems: [] };
  }

  watch(watcher: Watcher, on: SourceEvents): number {
    const before = this.watches;
    this.watches = [];
    let worst = 0;
    const add = (path: string, mask: number, handler: (mask: number, name: string) => void) => {
      const watch = watcher.add(path, mask, handler);
      if (typeof watch !== "number") this.watches.push(watch);
      else if (watch !== -E.NOENT && watch !== -E.NOTDIR) worst = watch;
      return typeof watch !== "number";
    };
    const onEntry = (mask: number, name: string) => {
      if (name.startsWith(".")) return;
      if (name === "") on.moved();
      else if (this.isBeingWritten(mask, name)) on.unfinished(name);
      else on.entry(name);
    };
    const { links, nearest: deepest } = resolveLinks(this.path);
    for (const { dir, name } of links) {
      add(dir, CHANGED | GONE, (_, changed) => changed === name && on.moved());
    }
    let nearest = deepest;
    // Not there yet: whatever happens in the nearest directory that is may lead to it.
    while (!add(this.path, CHANGED | GONE | SELF | IN.ONLYDIR, onEntry) && worst === 0) {
      add(nearest, CHANGED | SELF, () => on.moved());
      const now = resolveLinks(this.path).nearest;
      if (now === nearest) break;
      nearest = now;
    }
    for (const watch of before) watcher.remove(watch);
    return worst;
  }

  watchEntry(watcher: Watcher, name: string, onChange: () => void): Watch | number {
    return watcher.add(`${this.path}/${name}`, CHANGED, onChange);
  }

  /** A new file is acted on when it is closed, not when it is made. */
  private isBeingWritten(mask: number, name: string): boolean {
    if (mask !== IN.CREATE) return false;
    const stat = libc.lstat(`${this.path}/${name}`);
    return typeof stat !== "number" && stat.isFile && stat.links === 1;
  }

  /**
   * The same path on another device, and nothing in it: the directory under a file system
   * that was unmounted. That says nothing about the services.
   */
  private isUnmounted(empty: boolean): boolean {
    const stat = libc.stat(this.path);
    if (typeof stat === "number") return true;
    const { dev } = stat;
    const real = resolveLinks(this.path).real;
    const before = this.identity;
    if (empty && before !== null && before.real === real && before.dev !== dev) return true;
    this.identity = { dev, real };
    return false;
  }

  /** As root: nobody else may be able to put a service here, or another directory in its place. */
  private weakness(): string | null {
    const top = libc.stat(this.path);
    if (typeof top === "number") return null;
    return insecure(top) ?? insecurePath(this.path);
  }
}

/**
 * As root: why what a path leads to must not be used: for what that is, or, if the path is a link,
 * for what that goes through.
 */
function insecureAt(path: string, stat: FileStat | number): string | null {
  if (typeof stat === "number" || process.geteuid?.() !== 0) return null;
  const entry = libc.lstat(path);
  const isLink = typeof entry === "number" || entry.isLink;
  return insecure(stat) ?? (isLink ? insecurePath(path) : null);
}

/**
 * As root: whether somebody else could make a path lead elsewhere. Every link on it, and every
 * directory that the path or a link goes through, must be safe; the sticky bit excuses directories.
 */
function insecurePath(path: string): string | null {
  if (process.geteuid?.() !== 0) return null;
  const { real, links } = resolveLinks(path);
  for (const { dir, name } of links) {
    const link = libc.lstat(`${dir}/${name}`);
    const found = typeof link === "number" ? libc.strerror(link) : insecure(link);
    if (found !== null) return `${dir}/${name}: ${found}`;
  }
  for (const through of [dirname(real), ...links.map((l) => l.dir)]) {
    for (let dir = through; ; dir = dirname(dir)) {
      const stat = libc.stat(dir);
      if (typeof stat === "number") return `${dir}: ${libc.strerror(stat)}`;
      const sticky = stat.uid === 0 && (stat.mode & 0o1000) !== 0;
      const found = sticky ? null : insecure(stat);
      if (found !== null) return `${dir}: ${found}`;
      if (dir === "/") break;
    }
  }
  return null;
}

function inspectDirectory(path: string): Target | Refusal {
  const run = `${path}/run`;
  const stat = libc.stat(run);
  if (stat === -E.NOENT) return { reason: "a directory without run" };
  if (typeof stat === "number") return { reason: `run: ${libc.strerror(stat)}` };
  const weakness = insecureAt(run, stat);
  if (weakness !== null) return { reason: `insecure: run: ${weakness}` };
  if (!stat.isFile) return { reason: "run is not a file" };
  if (libc.executableAt(libc.AT_FDCWD, run) < 0) return { reason: "run is not executable" };
  const problems: string[] = [];
  const settings = readSettings(path, (problem) => problems.push(problem));
  if (settings.unread) return settings.unread;
  return { path: "./run", argv: ["./run"], cwd: path, settings, problems };
}

/** As root: only from files that nobody else could have written. */
function readSettings(path: string, complain: (problem: string) => void): Settings {
  const read = (file: string): string | null | Refusal => {
    const found = readSetting(`${path}/${file}`);
    if (found === -E.NOENT || found === -E.NOTDIR) return null;
    if (typeof found === "number") {
      return { reason: `${file}: ${libc.strerror(found)}`, passing: isPassing(found) };
    }
    if (found.weakness !== null) complain(`insecure: ${file}: ${found.weakness}`);
    return found.weakness === null ? found.text : null;
  };
  const runs = (file: string): boolean => {
    if (libc.stat(`${path}/${file}`) === -E.NOENT) return false;
    const why = whyNotProgram(`${path}/${file}`);
    if (why !== null) complain(`${file}: ${why}`);
    return why === null;
  };
  return parseSettings(read, runs, complain);
}

/** What a file says, and why that must not be believed; what is no file says nothing. */
function readSetting(path: string): { text: string; weakness: string | null } | number {
  // Where no descriptor is free, open(2) does not tell what is not there.
  const there = libc.stat(path);
  if (typeof there === "number") return there;
  if (!there.isFile) return { text: "", weakness: insecureAt(path, there) };
  const fd = libc.openat(libc.AT_FDCWD, path, libc.O.RDONLY | libc.O.NONBLOCK);
  if (fd < 0) return fd;
  const [stat, text] = [libc.fstat(fd), libc.readText(fd)];
  libc.close(fd);
  if (typeof stat === "number") return stat;
  return typeof text === "number" ? text : { text, weakness: insecureAt(path, stat) };
}

/** Why a file must not be run by us, or null. */
export function whyNotProgram(path: string): string | null {
  const stat = libc.stat(path);
  if (typeof stat === "number") return libc.strerror(stat);
  if (!stat.isFile) return "not a file";
  return libc.executableAt(libc.AT_FDCWD, path) === 0 ? insecureAt(path, stat) : "not executable";
}

/** Why root must not run this: it belongs to somebody else, or anybody may change it. */
function insecure(stat: FileStat): string | null {
  if (process.geteuid?.() !== 0) return null;
  if (stat.uid !== 0) return `it belongs to uid ${stat.uid}`;
  return stat.mode & 0o002 && !stat.isLink ? "anybody may write it" : null;
}

/** Why the kernel would not start it, in words; ENOENT is about what the file's #! names. */
export function explainSpawn(target: Pick<Target, "path" | "cwd">, code: number): string {
  const file = target.cwd === undefined ? target.path : `${target.cwd}/${target.path}`;
  if (code !== -E.NOENT) return libc.strerror(code);
  const interpreter = firstBytes(file).match(/^#![ \t]*([^ \t\n]+)/)?.[1];
  return interpreter === undefined ? libc.strerror(code) : `no interpreter ${interpreter}`;
}

/** As much of a file as the kernel looks at, and more; nothing when it cannot be read. */
function firstBytes(path: string): string {
  const fd = libc.openat(libc.AT_FDCWD, path, libc.O.RDONLY | libc.O.NONBLOCK);
  const text = fd < 0 ? "" : libc.readText(fd);
  if (fd >= 0) libc.close(fd);
  return typeof text === "string" ? text : "";
}

/** True for what may be otherwise in a moment, though nobody touches the entry. */
export function isPassing(code: number): boolean {
  const passing: readonly number[] = [E.TXTBSY, E.AGAIN, E.NOMEM, E.MFILE, E.NFILE];
  return passing.includes(-code);
}

type Resolved = {
  /** The path without links, as far as it exists. */
  real: string;
  /** The directory and name of every link on the way. */
  links: { dir: string; name: string }[];
  /** The deepest directory on the way that exists. */
  nearest: string;
};

/** Follows a path by hand, so that each link on it can be watched. */
function resolveLinks(path: string): Resolved {
  const links: Resolved["links"] = [];
  let dir = "/";
  const todo = path.split("/");
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      dir = dirname(dir);
      continue;
    }
    const here = dir === "/" ? `/${name}` : `${dir}/${name}`;
    const target = links.length < 40 ? libc.readLink(here) : -E.LOOP;
    if (typeof target === "string") {
      links.push({ dir, name });
      if (target.startsWith("/")) dir = "/";
      todo.unshift(...target.split("/"));
    } else if (typeof libc.stat(here) !== "number") {
      dir = here;
    } else {
      return { real: [here, ...todo].join("/"), links, nearest: dir };
    }
  }
  return { real: dir, links, nearest: dir };
}
