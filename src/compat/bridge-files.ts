/**
 * SERVICE/supervise: the files in which runsv and supervise tell of a service, and take commands.
 *
 * We may be root, and the service directory may be somebody's whom we need not trust. So: as root
 * nothing on the path, no link and no directory, may be another's to change; the service directory
 * must be ours or root's; what is in supervise/ is opened without following links, and replaced by
 * rename. `supervise` itself may be a link, for service directories that cannot be written.
 */
import { absolutePath, dirname } from "../bytes.ts";
import * as libc from "../libc.ts";
import { E, type FileStat, O } from "../libc.ts";
import * as proc from "../proc.ts";
import { SysDir } from "../sysdir.ts";

/** Why a directory is not served; `busy`: another one serves it, perhaps not for long. */
export type Refusal = { readonly reason: string; readonly busy?: boolean };

const DIRECTORY = O.RDONLY | O.DIRECTORY;

function failed(what: string, code: number): Refusal {
  return { reason: `cannot ${what}: ${libc.strerror(code)}` };
}

/** Whether root would be led astray: what holds for a directory of services holds here. */
function insecurity(path: string): string | null {
  const names = new SysDir(path).names();
  return Array.isArray(names) || !names.reason.startsWith("insecure") ? null : names.reason;
}

/** Who else could write there, or null. */
function stranger(stat: FileStat | number, owners: readonly (number | undefined)[]): string | null {
  if (typeof stat === "number") return libc.strerror(stat);
  if (!owners.includes(stat.uid)) return `it belongs to uid ${stat.uid}`;
  return stat.mode & 0o002 ? "anybody may write in it" : null;
}

/** Opens a service directory that may be served; null: there is none of that name. */
export function openService(path: string): number | Refusal | null {
  const fd = libc.openat(libc.AT_FDCWD, path, DIRECTORY);
  if (fd === -E.NOENT || fd === -E.NOTDIR) return null;
  if (fd < 0) return failed("open it", fd);
  const why = insecurity(path) ?? stranger(libc.fstat(fd), [0, process.geteuid?.()]);
  if (why === null) return fd;
  libc.close(fd);
  return { reason: `not served: ${why}` };
}

/** Opens supervise/ in a service directory (its path, and a descriptor), after making it. */
export function openSupervise(path: string, service: number): number | Refusal {
  const entry = libc.lstat("supervise", service);
  if (typeof entry !== "number" && entry.isLink) return openLinked(path, service);
  const made = libc.mkdirat(service, "supervise", 0o700);
  if (made < 0 && made !== -E.EXIST) {
    const { reason } = failed(`make ${path}/supervise`, made);
    return { reason: `${reason} (it may be a link to a directory that can be written)` };
  }
  const fd = libc.openat(service, "supervise", DIRECTORY | O.NOFOLLOW);
  return fd < 0 ? failed(`open ${path}/supervise`, fd) : trusted(fd, [0, process.geteuid?.()]);
}

/** A link leads to a directory of ours, which is made if it is not there. */
function openLinked(path: string, service: number): number | Refusal {
  const supervise = `${path}/supervise`;
  const target = libc.readLink(`/proc/self/fd/${service}/supervise`);
  const base = libc.readLink(`/proc/self/fd/${service}`);
  if (typeof target === "number") return failed(`read ${supervise}`, target);
  const led = absolutePath(target.startsWith("/") ? target : `${base}/${target}`);
  const parent = insecurity(dirname(led));
  if (parent !== null) return { reason: `${supervise}: ${parent}` };
  const made = libc.mkdirat(libc.AT_FDCWD, led, 0o700);
  if (made < 0 && made !== -E.EXIST) return failed(`make ${led}`, made);
  const why = insecurity(supervise);
  if (why !== null) return { reason: `${supervise}: ${why}` };
  const fd = libc.openat(service, "supervise", DIRECTORY);
  return fd < 0 ? failed(`open ${supervise}`, fd) : trusted(fd, [process.geteuid?.()]);
}

function trusted(fd: number, owners: readonly (number | undefined)[]): number | Refusal {
  const why = stranger(libc.fstat(fd), owners);
  if (why === null) return fd;
  libc.close(fd);
  return { reason: `supervise: ${why}` };
}

/** Takes supervise/lock, which tells everybody that this service has its supervisor. */
export function lockSupervise(supervise: number): number {
  const flags = O.RDWR | O.CREAT | O.NOFOLLOW | O.NONBLOCK;
  const fd = libc.openat(supervise, "lock", flags, 0o600);
  if (fd < 0) return fd;
  const code = libc.lockNow(fd);
  if (code >= 0) return fd;
  libc.close(fd);
  return code;
}

/**
 * Is there a supervisor of another kind? It holds the lock, as our bridge does; but that puts
 * supervise/sysmgr beside it, a moment later.
 */
export function isTaken(path: string): boolean {
  const flags = O.RDWR | O.NOFOLLOW | O.NONBLOCK;
  const fd = libc.openat(libc.AT_FDCWD, `${path}/supervise/lock`, flags);
  if (fd < 0) return false;
  const code = libc.lockNow(fd);
  const stat = libc.fstat(fd);
  libc.close(fd);
  if (code !== -E.AGAIN || typeof stat === "number") return false;
  return typeof libc.lstat(`${path}/supervise/sysmgr`) === "number" && !isOfBridge(stat.ino);
}

/** Whether the lock of that file is held by a bridge, or, by now, by nobody. */
function isOfBridge(inode: bigint): boolean {
  const locks = libc.readFile("/proc/locks");
  const lines = typeof locks === "string" ? locks.split("\n") : [];
  const holder = lines.find((line) => / FLOCK /.test(line) && line.includes(`:${inode} `));
  const pid = holder?.match(/ WRITE\s+(\d+) /)?.[1];
  return pid === undefined || proc.readCommandLine(Number(pid))?.[0] === "sysmgr-bridge";
}

/** A FIFO in it, opened without waiting for anybody. */
function openFifo(supervise: number, name: string, flags: number): number {
  const made = libc.mkfifoat(supervise, name, 0o600);
  if (made < 0 && made !== -E.EXIST) return made;
  const fd = libc.openat(supervise, name, flags | O.NONBLOCK | O.NOFOLLOW);
  const stat = fd < 0 ? fd : libc.fstat(fd);
  if (fd < 0 || (typeof stat !== "number" && stat.isFifo)) return fd;
  libc.close(fd);
  return -E.EXIST;
}

function replace(dir: number, name: string, content: string): number {
  const staged = `${name}.new`;
  libc.unlinkat(dir, staged);
  const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
  const fd = libc.openat(dir, staged, flags, 0o644);
  if (fd < 0) return fd;
  const n = content === "" ? 0 : libc.writeText(fd, content);
  libc.close(fd);
  if (n !== content.length) return n < 0 ? n : -E.NOSPC;
  return libc.renameat(dir, staged, dir, name);
}

/**
 * Lets commands wait in a service directory that is not served yet: whoever opens ok or control
 * finds somebody there, and `status` is what is told until then. Returns how to end that; null where it is served already, or must not be.
 */
export function holdOpen(path: string, status: string): (() => void) | null {
  const flags = O.WRONLY | O.NONBLOCK | O.NOFOLLOW;
  const writer = libc.openat(libc.AT_FDCWD, `${path}/supervise/ok`, flags);
  if (writer >= 0) libc.close(writer);
  const service = writer >= 0 ? null : openService(path);
  if (typeof service !== "number") return null;
  const supervise = openSupervise(path, service);
  libc.close(service);
  if (typeof supervise !== "number") return null;
  replace(supervise, "status", status);
  const fds = ["control", "ok"].map((name) => openFifo(supervise, name, O.RDWR));
  libc.close(supervise);
  return () => {
    for (const fd of fds) if (fd >= 0) libc.close(fd);
  };
}

export class SuperviseDir {
  private ok = -1;
  /** Where commands come from, once it is served. */
  control = -1;
  /** Who reads from there stops it then. */
  onClose: () => void = () => {};

  private constructor(
    private readonly service: FileStat,
    private readonly fd: number,
    private readonly lock: number,
  ) {}

  /** Opens and locks it; null: there is no such service directory. */
  static open(path: string): SuperviseDir | Refusal | null {
    const service = openService(path);
    if (typeof service !== "number") return service;
    const stat = libc.fstat(service);
    const fd = openSupervise(path, service);
    libc.close(service);
    if (typeof fd !== "number") return fd;
    const lock = lockSupervise(fd);
    if (lock >= 0 && typeof stat !== "number") return new SuperviseDir(stat, fd, lock);
    libc.close(fd);
    const busy = lock === -E.AGAIN;
    return busy
      ? { reason: "another supervisor has locked its supervise/lock", busy }
      : failed(`lock ${path}/supervise/lock`, lock);
  }

  /** False once that path leads to another directory. */
  isOf(path: string): boolean {
    const stat = libc.stat(path);
    return (
      typeof stat !== "number" && stat.dev === this.service.dev && stat.ino === this.service.ino
    );
  }

  /** Opens control; minus the errno if that cannot be. */
  openControl(): number {
    this.control = openFifo(this.fd, "control", O.RDWR);
    return this.control;
  }

  /** Commands wait to be read. */
  get isAsked(): boolean {
    return libc.waitAny([{ fd: this.control }], 0)[0] === true;
  }

  /** From now on somebody listens: who opens ok for writing sees that. Minus the errno if not. */
  openOk(): number {
    this.ok = openFifo(this.fd, "ok", O.RDONLY);
    return this.ok;
  }

  /** Replaces a file; its content is a byte string. */
  write(name: string, content: string): number {
    return replace(this.fd, name, content);
  }

  remove(name: string): void {
    libc.unlinkat(this.fd, name);
  }

  close(): void {
    this.onClose();
    for (const fd of [this.ok, this.control, this.lock, this.fd]) if (fd >= 0) libc.close(fd);
  }
}
