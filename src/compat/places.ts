/**
 * From the path of a service directory, as people know it from runit and daemontools, to the
 * service of that name in the file protocol.
 *
 * A path P belongs to, in this order:
 * 1. the supervisor of P alone (`runsv P`, `supervise P`): P/supervise/.sysmgr, with one service;
 * 2. the scanner of the directory that P is in: its .sysmgr, or, if that directory is SYSDIR of
 *    the environment or of config.ts, the RUNDIR that goes with it;
 * 3. the service that we run in, if its entry leads to P (`.` names no entry): SYSDIR, RUNDIR and
 *    SYSMGR_SERVICE of our environment decide between two entries that lead to one directory;
 * 4. a scanner as in 2 with an entry that leads to P, or whose logger does, by device and inode:
 *    so `sv once .` works in a directory that is only linked to where it is supervised;
 * 5. what the file P/supervise/sysmgr says: a line with RUNDIR, one with the service;
 * 6. if P is log in a directory that belongs to a service: the logger of that service.
 *
 * Only a supervisor that lives counts. Paths are taken as the kernel takes them: the last name may
 * be a link, and belongs to the directory that the link is in.
 */
import * as config from "../../config.ts";
import { basename, dirname, getenv } from "../bytes.ts";
import * as libc from "../libc.ts";
import { isServiceName, loggedBy, loggerOf, RunDir } from "../rundir.ts";

export type Place = {
  readonly rundir: RunDir;
  /** As the protocol has it: `web`, or `web/log` for its logger. */
  readonly name: string;
  /** The directory of all services of that scanner. */
  readonly sysdir: string;
  /** The scanner has no other service, and ends with this one. */
  readonly single: boolean;
};

/** The same before it is known whether that works, and has the service. */
type Scanner = Pick<Place, "sysdir"> & {
  readonly rundir: RunDir | null;
  readonly single?: boolean;
};

const LOGGER = "log";

export class Places {
  private readonly opened = new Map<string, RunDir>();

  /** null: nobody supervises what this path leads to, or it leads nowhere. */
  find(path: string): Place | null {
    const target = libc.stat(path);
    if (typeof target === "number") return null;
    return this.ofService(path, target) ?? this.ofLogger(path);
  }

  /** True if there is a RUNDIR for it that nobody works on: it was supervised, and is not now. */
  wasSupervised(path: string): boolean {
    const { dir, name } = split(path);
    const around = libc.stat(dir);
    if (typeof around === "number") return false;
    const here = plain().filter(({ sysdir }) => leadsTo(sysdir, around));
    const rundirs = [`${path}/supervise/.sysmgr`, `${dir}/.sysmgr`, ...here.map((p) => p.rundir)];
    const isLeft = (rundir: string) => typeof libc.stat(rundir) !== "number" && !this.live(rundir);
    return rundirs.some(isLeft) || (name === LOGGER && this.wasSupervised(dir));
  }

  private ofService(path: string, target: libc.FileStat): Place | null {
    return (
      this.alone(path) ??
      this.asEntry(given(path)) ??
      this.around(target) ??
      this.asEntry(physical(path)) ??
      this.elsewhere(path, target) ??
      this.asWritten(path)
    );
  }

  /** `/service/web/log`: a directory in that of its service. */
  private ofLogger(path: string): Place | null {
    const { dir, name } = split(path);
    const target = name === LOGGER ? libc.stat(dir) : -libc.E.NOENT;
    const owner = typeof target === "number" ? null : this.ofService(dir, target);
    return owner && loggedBy(owner.name) === null ? known(owner, loggerOf(owner.name)) : null;
  }

  private alone(path: string): Place | null {
    const rundir = this.live(`${path}/supervise/.sysmgr`);
    const name = rundir?.services()[0] ?? "";
    return known({ rundir, sysdir: split(path).dir, single: true }, name);
  }

  private around(target: libc.FileStat): Place | null {
    const [sysdir, path, name] = ["SYSDIR", "RUNDIR", "SYSMGR_SERVICE"].map((v) => getenv(v));
    if (!sysdir || !path || !name || !isServiceName(name)) return null;
    if (!leadsTo(`${sysdir}/${name}`, target)) return null;
    return known({ rundir: this.live(path), sysdir }, name);
  }

  private asEntry(entry: Entry | null): Place | null {
    if (!entry || !isServiceName(entry.name)) return null;
    return known(this.scannerOf(entry.dir), entry.name);
  }

  private elsewhere(path: string, target: libc.FileStat): Place | null {
    const sysdirs = [split(path).dir, physical(path).dir, ...plain().map(({ sysdir }) => sysdir)];
    for (const sysdir of new Set(sysdirs)) {
      const scanner = this.scannerOf(sysdir);
      for (const name of scanner ? entriesOf(sysdir, target) : []) {
        const place = known(scanner, name);
        if (place) return place;
      }
    }
    return null;
  }

  private asWritten(path: string): Place | null {
    const [where, name] = readShort(`${path}/supervise/sysmgr`).split("\n");
    if (!where?.startsWith("/") || !name || !isServiceName(name)) return null;
    return known({ rundir: this.live(where), sysdir: dirname(where) }, name);
  }

  private scannerOf(sysdir: string): Scanner | null {
    const own = this.live(`${sysdir}/.sysmgr`);
    if (own) return { rundir: own, sysdir };
    const directory = libc.stat(sysdir);
    if (typeof directory === "number") return null;
    for (const one of plain()) {
      const rundir = leadsTo(one.sysdir, directory) ? this.live(one.rundir) : null;
      if (rundir) return { rundir, sysdir };
    }
    return null;
  }

  /** A RUNDIR on which a supervisor works. */
  private live(path: string): RunDir | null {
    const before = this.opened.get(path);
    const rundir = before?.isCurrent() ? before : RunDir.open(path);
    if (typeof rundir === "number") return null;
    this.opened.set(path, rundir);
    return rundir.supervisor() === null ? null : rundir;
  }
}

/** A service, if the scanner knows it. */
function known(scanner: Scanner | null, name: string): Place | null {
  if (!scanner?.rundir?.hasStatus(name)) return null;
  const { rundir, sysdir, single = false } = scanner;
  return { rundir, sysdir, name, single };
}

/** The directories of a plain sysmgr: those of the environment, then those of config.ts. */
function plain(): { readonly sysdir: string; readonly rundir: string }[] {
  const { SYSDIR, RUNDIR } = config;
  return [
    { sysdir: getenv("SYSDIR") || SYSDIR, rundir: getenv("RUNDIR") || RUNDIR },
    { sysdir: SYSDIR, rundir: RUNDIR },
  ];
}

function leadsTo(path: string, target: libc.FileStat): boolean {
  const stat = libc.stat(path);
  return typeof stat !== "number" && stat.dev === target.dev && stat.ino === target.ino;
}

/** The services of a directory that are there, and those whose loggers are. */
function entriesOf(sysdir: string, target: libc.FileStat): string[] {
  const names = libc.readDirectory(sysdir);
  const services = (typeof names === "number" ? [] : names).filter(isServiceName).sort();
  const all = [...services, ...services.map(loggerOf)];
  return all.filter((name) => leadsTo(`${sysdir}/${name}`, target));
}

/** The beginning of a file that anybody may have made: a FIFO does not hold us up. */
function readShort(path: string): string {
  const fd = libc.openat(libc.AT_FDCWD, path, libc.O.RDONLY | libc.O.NONBLOCK);
  const text = fd < 0 ? "" : libc.readText(fd);
  if (fd >= 0) libc.close(fd);
  return typeof text === "string" ? text : "";
}

type Entry = { readonly dir: string; readonly name: string };

/** The directory that a path's last name is in, and that name; null when it is no name. */
function given(path: string): Entry | null {
  const trimmed = path.replace(/\/+$/, "");
  const name = basename(trimmed);
  if (name === "" || name === "." || name === "..") return null;
  const dir = trimmed.slice(0, -name.length).replace(/\/+$/, "");
  return { dir: dir || (trimmed.startsWith("/") ? "/" : "."), name };
}

/** The same for what the path leads to, all links resolved. */
function physical(path: string): Entry {
  const fd = libc.openat(libc.AT_FDCWD, path, libc.O.PATH);
  const real = libc.readLink(`/proc/self/fd/${fd}`);
  if (fd >= 0) libc.close(fd);
  return typeof real === "string"
    ? { dir: dirname(real), name: basename(real) }
    : { dir: "/", name: "" };
}

function split(path: string): Entry {
  return given(path) ?? physical(path);
}
