/**
 * The file protocol: the only code that knows a path in RUNDIR (sysmgr(7) tells it to people).
 *
 * Everything is opened relative to one descriptor of RUNDIR, without following links; only
 * regular files are read, and no more than READ_LIMIT bytes. The directories on the way
 * belong to sysmgr's user; only what is inside NAME/control may be somebody else's.
 * Calls return what libc.ts returns: a value >= 0, or minus the errno.
 */
import { MARKER_GRACE } from "../config.ts";
import { parseCount } from "./bytes.ts";
import * as libc from "./libc.ts";
import { E, IN, O } from "./libc.ts";
import * as proc from "./proc.ts";
import {
  formatStatus,
  formatWaiter,
  type Marker,
  type ProcessId,
  parseMarker,
  parseStatus,
  parseWaiter,
  type Status,
  type Waiter,
} from "./status.ts";
import type { Watch, Watcher } from "./watch.ts";

/** What NAME/control understands. */
export const COMMANDS = [
  "up",
  "down",
  "once",
  "restart",
  "term",
  "cont",
  "pause",
  "hup",
  "alarm",
  "int",
  "quit",
  "usr1",
  "usr2",
  "kill",
] as const;
export type Command = (typeof COMMANDS)[number];

/** What .control understands: the supervisor's own drop box. */
export const SUPERVISOR_COMMANDS = ["scan", "shutdown", "upgrade"] as const;
export type SupervisorCommand = (typeof SUPERVISOR_COMMANDS)[number];

/** The name under which the supervisor's own drop box is addressed. */
export const SUPERVISOR = "";

/** A command from a drop box, and what its file held. */
export type Order<Name extends string> = { readonly command: Name; readonly content: string };
export type Taken<Name extends string> = {
  readonly orders: readonly Order<Name>[];
  readonly strangers: readonly string[];
  /** Something was left for later: its content may still be on the way. */
  readonly early: boolean;
};

/**
 * What happened to a service, or to the supervisor itself (SUPERVISOR): its stop marker was
 * completed or went away; look at the drop box, at who waits; a file is being written (it is
 * closed soon, or was linked in and needs no closing); its pid file was removed, which is right if
 * nothing runs; or something that must be there is gone.
 */
export type OnEvent = (
  what: "marked" | "unmarked" | "command" | "unfinished" | "waiting" | "pidless" | "lost",
  name: string,
) => void;

const CHANGED = IN.CREATE | IN.CLOSE_WRITE | IN.MOVED_TO;
const GONE = IN.MOVED_FROM | IN.DELETE;
const SELF = IN.DELETE_SELF | IN.MOVE_SELF;
const LOST = SELF | IN.IGNORED;

const OWN_FILES = [".lock", "pid", ".control"];

/** A stop marker; `fresh`: empty, and its content may still be on the way. */
export type FoundMarker = Marker & { readonly fresh: boolean; readonly inode: bigint };

/** Why what stands at the path of RUNDIR must not be used. */
type Refusal = { readonly reason: string };

/** Errors that say nothing of the file. */
const CANNOT_TELL: readonly number[] = [E.MFILE, E.NFILE, E.NOMEM, E.INTR];

/** Of this process alone: a front end's manager writes markers while the scanner writes statuses. */
const STAGED = `.new.${process.pid}`;

/** Private: between sysmgr and its services. */
const PIPES = ".pipe";

/**
 * A service is named by its entry: any bytes but a leading dot; `pid` is the supervisor's. Its
 * logger is a service of its own.
 */
export function isServiceName(name: string): boolean {
  const entry = loggedBy(name) ?? name;
  return entry !== "" && !entry.startsWith(".") && !entry.includes("/") && entry !== "pid";
}

/** What the logger of a service is called, if it has one. */
export function loggerOf(name: string): string {
  return `${name}/log`;
}

/** Whose output it logs; null for a service that is no logger. */
export function loggedBy(name: string): string | null {
  return name.endsWith("/log") ? name.slice(0, -4) : null;
}

/** Where sysmgr-prefix finds the RUNDIR of sysmgr open. */
export const RUNDIR_FD = 3;

/** The outputs of a service that may be prefixed with its name. */
export const TAPS = ["stdout", "stderr"] as const;
export type Tap = (typeof TAPS)[number];

const tapDirectory = (kind: Tap) => `${PIPES}/.${kind}`;
/** No service begins with a dot: so does the logger of one here. */
const tapFile = (name: string) => (loggedBy(name) === null ? name : `.${loggedBy(name)}`);
const tapOwner = (file: string) => (file.startsWith(".") ? loggerOf(file.slice(1)) : file);

export class RunDir {
  /** `place`: where the last component of the path led when it was opened; null: it is no link. */
  private constructor(
    readonly path: string,
    readonly fd: number,
    private readonly place: string | number | null,
  ) {}

  static open(path: string): RunDir | number {
    const flags = O.RDONLY | O.DIRECTORY;
    const plain = libc.openat(libc.AT_FDCWD, path, flags | O.NOFOLLOW);
    if (plain >= 0) return new RunDir(path, plain, null);
    if (plain !== -E.NOTDIR && plain !== -E.LOOP) return plain;
    const led = libc.openat(libc.AT_FDCWD, path, flags);
    return led < 0 ? led : new RunDir(path, led, libc.readLink(`/proc/self/fd/${led}`));
  }

  /** Opens it, after making it and what leads to it. */
  static make(path: string): RunDir | number {
    for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
      libc.mkdirat(libc.AT_FDCWD, path.slice(0, end), 0o755);
    }
    const made = libc.mkdirat(libc.AT_FDCWD, path, 0o755);
    const opened = RunDir.open(path);
    return opened === -E.NOENT && made < 0 ? made : opened;
  }

  /** Opens what stands at the path now, after this one was removed. */
  reopen(): RunDir | Refusal | number {
    return this.succeededBy(RunDir.open(this.path));
  }

  /** The same, made again if nothing stands there. */
  remake(): RunDir | Refusal | number {
    return this.succeededBy(RunDir.make(this.path));
  }

  /** Others who may write beside it may have been quicker: with a directory, or a link to one. */
  private succeededBy(next: RunDir | number): RunDir | Refusal | number {
    if (typeof next === "number") return next;
    const isNewLink = next.place !== null && next.place !== this.place;
    const reason = isNewLink ? "it is another link than before" : next.weakness();
    if (reason === null) return next;
    next.close();
    return { reason };
  }

  close(): void {
    libc.close(this.fd);
  }

  /** False once the path leads elsewhere, or nowhere: RUNDIR was removed or moved. */
  isCurrent(): boolean {
    return sameFile(libc.stat(this.path), libc.fstat(this.fd));
  }

  /** Does that descriptor stand for it? */
  isBehind(fd: number): boolean {
    return sameFile(libc.fstat(fd), libc.fstat(this.fd));
  }

  /** Why this directory must not be trusted by its user, or null: others could write in it. */
  weakness(): string | null {
    const stat = libc.fstat(this.fd);
    if (typeof stat === "number") return libc.strerror(stat);
    if (stat.uid !== process.geteuid?.()) return `it belongs to uid ${stat.uid}`;
    return stat.mode & 0o022 ? "others may write in it" : null;
  }

  // ------------------------------------------------------------- supervisor

  /**
   * Takes the lock that makes us the only supervisor here, or goes on with the one that a
   * predecessor left open. Returns the descriptor that holds it; -E.AGAIN: another one has it.
   */
  lock(inherited = -1): number {
    if (this.isLock(inherited) && libc.lockNow(inherited) >= 0) return inherited;
    for (;;) {
      const fd = libc.openat(this.fd, ".lock", O.RDWR | O.CREAT | O.NOFOLLOW, 0o600);
      if (fd < 0) return fd;
      const taken = libc.lockNow(fd);
      if (taken >= 0 && this.isLock(fd)) return fd;
      libc.close(fd);
      // Its last holder may have removed the file that we locked: then try the new one.
      if (taken < 0) return taken;
    }
  }

  /** True while that descriptor is the lock: not once the file was removed. */
  isLock(fd: number): boolean {
    return sameFile(libc.fstat(fd), libc.lstat(".lock", this.fd));
  }

  /** Changes with every supervisor that begins here, even under the same pid. */
  supervisorMark(): string {
    const stat = libc.lstat("pid", this.fd);
    return typeof stat === "number" ? "" : `${stat.ino} ${stat.modified}`;
  }

  writeSupervisorPid(): number {
    this.makeDirectory(".control");
    return this.replace("pid", ownPid());
  }

  /** False when the supervisor's own files were removed from under it, or could not be written. */
  hasSupervisorFiles(): boolean {
    return this.read("pid") === ownPid() && this.exists(controlDir(SUPERVISOR));
  }

  /** The pid of the sysmgr that works on this RUNDIR; null when none does. */
  supervisor(): number | null {
    const text = this.read("pid");
    const pid = typeof text === "string" ? parseCount(text.trim()) : null;
    if (pid === null || pid < 1 || pid >= 2 ** 31) return null;
    const gone = libc.kill(pid, 0) === -E.SRCH || proc.readStat(pid)?.state === "Z";
    return gone ? null : pid;
  }

  /** Removes everything but the lock: what a boot leaves behind is of no use to the next. */
  empty(): void {
    for (const name of this.list(".")) if (name !== ".lock") this.removeTree(name);
  }

  /** The last act of a supervisor. */
  unlock(): void {
    libc.unlinkat(this.fd, ".lock");
  }

  // --------------------------------------------------------------- services

  /** Every entry of SYSDIR that RUNDIR knows of. */
  entries(): string[] {
    return this.list(".").filter(isServiceName);
  }

  /** The same, with their loggers. */
  services(): string[] {
    return this.entries().flatMap((name) =>
      this.exists(controlDir(loggerOf(name))) ? [name, loggerOf(name)] : [name],
    );
  }

  /**
   * Makes NAME/ and NAME/control/, in place of anything there that is no directory.
   * -E.EXIST: NAME/ was there already.
   */
  makeService(name: string): number {
    const owner = loggedBy(name);
    if (owner !== null) this.makeDirectory(owner);
    const made = this.makeDirectory(name);
    if (made < 0 && made !== -E.EXIST) return made;
    const control = this.makeDirectory(`${name}/control`);
    return control < 0 && control !== -E.EXIST ? control : made;
  }

  /** Lets the members of a group command the service: make files in its drop box, and no more. */
  delegate(name: string, gid: number): number {
    const path = controlDir(name);
    const code = libc.chgrpat(this.fd, path, gid);
    return code < 0 ? code : libc.chmodat(this.fd, path, 0o1730);
  }

  /**
   * The FIFO in which a service says that it is ready: one descriptor for us, one for the service.
   * Both can do both, so that neither end ever finds the other one gone. A new one is made for a
   * new life; -E.NOENT: there was none to go on with; -E.NXIO: the service has closed its end, and
   * what it may have said is lost.
   */
  openReadiness(name: string, life: "new" | "old"): { own: number; service: number } | number {
    const path = `${PIPES}/${name}/ready`;
    if (life === "new") {
      libc.unlinkat(this.fd, path);
      const made = this.makeFifo(path);
      if (made < 0) return made;
    } else {
      const held = libc.openat(this.fd, path, O.WRONLY | O.NOFOLLOW | O.NONBLOCK);
      if (held < 0) return held;
      libc.close(held);
    }
    const own = libc.openat(this.fd, path, O.RDWR | O.NOFOLLOW | O.NONBLOCK);
    if (own < 0) return own;
    const service = libc.openat(this.fd, path, O.RDWR | O.NOFOLLOW);
    if (service < 0) libc.close(own);
    return service < 0 ? service : { own, service };
  }

  /**
   * The FIFO from a service to its logger, made if it is not there yet. Who has it open keeps the
   * bytes in it; open to read and write, it has a reader and a writer whoever dies.
   */
  openOutput(name: string): number {
    const path = `${PIPES}/${name}/output`;
    const made = this.makeFifo(path);
    if (made < 0 && made !== -E.EXIST) return made;
    return libc.openat(this.fd, path, O.RDWR | O.NOFOLLOW | O.NONBLOCK);
  }

  /**
   * The FIFO from an output of a service to sysmgr-prefix, opened in the same way. All of one kind
   * are in one directory.
   */
  openTap(kind: Tap, name: string): number {
    const path = `${tapDirectory(kind)}/${tapFile(name)}`;
    const made = this.makeFifo(path);
    if (made < 0 && made !== -E.EXIST) return made;
    return libc.openat(this.fd, path, O.RDWR | O.NOFOLLOW | O.NONBLOCK);
  }

  /** What to give inotify to hear which come and go; the directory is made if it is missing. */
  tapWatchPath(kind: Tap): string {
    libc.mkdirat(this.fd, PIPES, 0o700);
    libc.mkdirat(this.fd, tapDirectory(kind), 0o700);
    return this.watchPath(tapDirectory(kind));
  }

  /** Those that there are, by the names of their services. */
  taps(kind: Tap): string[] {
    return this.list(tapDirectory(kind)).map(tapOwner);
  }

  /** The end that is read: without a writer it is over. */
  readTap(kind: Tap, name: string): number {
    const path = `${tapDirectory(kind)}/${tapFile(name)}`;
    return libc.openat(this.fd, path, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  }

  /** Waits until nobody else reads them. */
  lockTaps(): number {
    const fd = libc.openat(this.fd, tapDirectory("stdout"), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    return fd < 0 ? fd : libc.lock(fd);
  }

  /** Descriptors of such FIFOs that a predecessor has left open for us. */
  inheritedPipes(): number[] {
    const open = libc.readDirectory("/proc/self/fd");
    const pathOf = (fd: number) => libc.readLink(`/proc/self/fd/${fd}`);
    // Our own path may lead through links.
    const pipes = `${pathOf(this.fd)}/${PIPES}/`;
    return (typeof open === "number" ? [] : open).map(Number).filter((fd) => {
      const path = pathOf(fd);
      return typeof path === "string" && path.startsWith(pipes);
    });
  }

  /** A FIFO in which standard error waits for who shows it: it outlives the supervisor. */
  openErrors(): number {
    const path = `${PIPES}/.errors`;
    const made = this.makeFifo(path);
    if (made < 0 && made !== -E.EXIST) return made;
    return libc.openat(this.fd, path, O.RDWR | O.NONBLOCK | O.NOFOLLOW);
  }

  private makeFifo(path: string): number {
    for (let end = path.indexOf("/"); end > 0; end = path.indexOf("/", end + 1)) {
      libc.mkdirat(this.fd, path.slice(0, end), 0o700);
    }
    return libc.mkfifoat(this.fd, path, 0o600);
  }

  /** False when its directory, or the status in it, was removed from under us. */
  hasStatus(name: string): boolean {
    return this.exists(`${name}/status`);
  }

  /** True once sysmgr has met it: if it has no status then, it is not known what is so. */
  isMet(name: string): boolean {
    return this.exists(controlDir(name));
  }

  /** False when something that it must have was removed; a pid, while it runs. */
  isWhole(name: string, runs: boolean): boolean {
    const hasPid = !runs || this.exists(`${name}/pid`);
    return hasPid && this.hasStatus(name) && this.exists(controlDir(name));
  }

  /** With its logger. */
  removeService(name: string): void {
    this.removeTree(name);
    this.removeTree(`${PIPES}/${name}`);
  }

  /** Removes what is known of a service; its stop marker stays, and so does its logger. */
  forgetService(name: string): void {
    for (const file of this.list(name)) {
      if (file !== "lock" && file !== "log") this.removeTree(`${name}/${file}`);
    }
    libc.unlinkat(this.fd, `${PIPES}/${name}/ready`);
    for (const kind of TAPS) libc.unlinkat(this.fd, `${tapDirectory(kind)}/${tapFile(name)}`);
    const owner = loggedBy(name);
    if (owner !== null) libc.unlinkat(this.fd, `${PIPES}/${owner}/output`);
    // Those that are empty now.
    for (const emptied of owner === null ? [name] : [name, owner]) {
      libc.rmdirat(this.fd, emptied);
      libc.rmdirat(this.fd, `${PIPES}/${emptied}`);
    }
  }

  /** What to give inotify for a service's directory. */
  watchPath(name: string): string {
    return `/proc/self/fd/${this.fd}/${name}`;
  }

  /** The same for its drop box. */
  controlWatchPath(name: string): string {
    return this.watchPath(controlDir(name));
  }

  /** Tells of RUNDIR's removal and of commands for the supervisor. */
  watch(watcher: Watcher, on: OnEvent): (Watch | number)[] {
    this.on = on;
    return [
      watcher.add(this.watchPath("."), SELF | IN.DELETE, (mask, file) => {
        if (mask & LOST || OWN_FILES.includes(file)) on("lost", SUPERVISOR);
      }),
      watcher.add(this.watchPath(controlDir(SUPERVISOR)), CHANGED, this.onControl, SUPERVISOR),
    ];
  }

  /** Tells the same listener of what concerns a service. */
  watchService(watcher: Watcher, name: string): (Watch | number)[] {
    return [
      watcher.add(this.watchPath(name), CHANGED | GONE | SELF, this.onService, name),
      watcher.add(this.watchPath(controlDir(name)), CHANGED, this.onControl, name),
    ];
  }

  private on: OnEvent = () => {};

  private readonly onService = (mask: number, file: string, name: string): void => {
    if (file === "" && mask & LOST) this.on("lost", name);
    else if (file === "status" && mask & GONE) this.on("lost", name);
    else if (file === "pid" && mask & GONE) this.on("pidless", name);
    else if (file === "waiting") this.on("waiting", name);
    else if (file === "lock" && mask & GONE) this.on("unmarked", name);
    else if (file === "lock") {
      this.on(this.isBeingWritten(mask, `${name}/lock`) ? "unfinished" : "marked", name);
    }
  };

  /** Files in the supervisor's drop box, where content counts, that are known to be complete. */
  private readonly closed = new Set<string>();

  private readonly onControl = (mask: number, file: string, name: string): void => {
    const unfinished = this.isBeingWritten(mask, `${controlDir(name)}/${file}`);
    if (name === SUPERVISOR && !unfinished) this.closed.add(file);
    this.on(mask & LOST ? "lost" : unfinished ? "unfinished" : "command", name);
  };

  /**
   * Whatever stands at NAME/lock stops the service; only a regular file's content counts. null:
   * the kernel could not tell.
   */
  marker(name: string): FoundMarker | null {
    const path = `${name}/lock`;
    const looked = Date.now();
    const fd = libc.openat(this.fd, path, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    if (fd === -E.NOENT || fd === -E.NOTDIR)
      return { ...parseMarker(null), fresh: false, inode: 0n };
    // What cannot be opened is a marker only if it is there.
    if (fd < 0 && (CANNOT_TELL.includes(-fd) || !this.exists(path))) return null;
    const stat = fd < 0 ? fd : libc.fstat(fd);
    const isFile = typeof stat !== "number" && stat.isFile;
    const text = isFile ? libc.readText(fd) : "";
    if (fd >= 0) libc.close(fd);
    const fresh = isFile && text === "" && isYoung(stat, looked);
    const inode = typeof stat === "number" ? 0n : stat.ino;
    return { ...parseMarker(typeof text === "string" ? text : ""), fresh, inode };
  }

  /** Writes the stop marker, or removes it (null). */
  setMarker(name: string, content: string | null): number {
    const path = `${name}/lock`;
    // Not even on a full disk is one marker given up for another.
    if (content !== null) return this.replaceOnce(path, content, STAGED);
    const code = libc.unlinkat(this.fd, path);
    return code === -E.ISDIR ? this.removeTree(path) : code;
  }

  /** The stop marker `once` as a client may write it, which changes none that is there. */
  markOnce(name: string): number {
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
    const fd = libc.openat(this.fd, `${name}/lock`, flags, 0o644);
    if (fd < 0) return fd;
    const code = libc.writeText(fd, "once\n");
    libc.close(fd);
    return code;
  }

  status(name: string): Status | null {
    const text = this.read(`${name}/status`);
    return typeof text === "string" ? parseStatus(text) : null;
  }

  /** The same, but only from a file that this user wrote: what adoption may rest on. */
  ownStatus(name: string): Status | null {
    const text = this.readFile(`${name}/status`, process.geteuid?.());
    return typeof text === "string" ? parseStatus(text) : null;
  }

  writeStatus(name: string, status: Status): number {
    return this.replaceOrRemove(`${name}/status`, formatStatus(status));
  }

  /** NAME/pid is for people; we never read it. */
  writePid(name: string, pid: number | null): number {
    const path = `${name}/pid`;
    return pid === null ? libc.unlinkat(this.fd, path) : this.replaceOrRemove(path, `${pid}\n`);
  }

  // --------------------------------------------------------------- drop box

  /**
   * Takes the commands out of a drop box, oldest first: each file `x` is renamed to `.x`,
   * to be removed by finish() once it was acted on. A leftover `.x` of a predecessor counts.
   * Strangers are files that are no command; they stay where they are, and of thousands only some
   * are told of. What bears a command's name and is no file makes way.
   */
  take<Name extends string>(name: string, known: readonly Name[]): Taken<Name> {
    const box = controlDir(name);
    const taken = new Map<Name, Order<Name> & { time: number }>();
    const strangers: string[] = [];
    let early = false;
    for (const file of this.listBox(box, known).sort().reverse()) {
      const bare = file.startsWith(".") ? file.slice(1) : file;
      const command = known.find((k) => k === bare);
      const stat = command === undefined ? null : libc.lstat(`${box}/${file}`, this.fd);
      if (typeof stat === "number") continue;
      if (command === undefined || !stat?.isFile) {
        if (file === bare) strangers.push(file);
        if (command !== undefined) this.makeWay(box, file);
        continue;
      }
      // A leftover comes after a new one of the same name (".x" sorts before "x"), which
      // has replaced it: one order for both.
      if (taken.has(command)) continue;
      if (command === "shutdown" && !this.closed.delete(file) && this.isFresh(`${box}/${file}`)) {
        early = true;
        continue;
      }
      const mine = `${box}/.${command}`;
      if (file === command && this.takeOver(box, command) < 0) continue;
      const content = this.readFile(mine);
      const text = typeof content === "string" ? content.trim() : "";
      taken.set(command, { command, content: text, time: stat.modified });
    }
    return { orders: [...taken.values()].sort((a, b) => a.time - b.time), strangers, early };
  }

  /** What is in a drop box; of a crowd only some, and what may be a command. */
  private listBox(box: string, known: readonly string[]): string[] {
    const fd = libc.openat(this.fd, box, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    if (fd < 0) return [];
    const [some, more] = [libc.someNamesIn(fd), libc.someNamesIn(fd)];
    libc.close(fd);
    if (typeof some === "number") return [];
    if (typeof more !== "number" && more.length === 0) return some;
    return [...new Set([...some, ...known, ...known.map((k) => `.${k}`)])];
  }

  /** Makes a command ours, whatever stands at our name for it. */
  private takeOver(box: string, command: string): number {
    const rename = () => libc.renameat(this.fd, `${box}/${command}`, this.fd, `${box}/.${command}`);
    const code = rename();
    if (!isInTheWay(code)) return code;
    this.makeWay(box, `.${command}`);
    return rename();
  }

  /**
   * Moves aside what bears a command's name and is no file, and removes it. What holds thousands
   * stays aside: everybody else would wait.
   */
  private makeWay(box: string, file: string): number {
    const path = `${box}/${file}`;
    const aside = `${box}/.aside.${Math.random().toString(36).slice(2)}`;
    const code = libc.renameat(this.fd, path, this.fd, aside);
    if (code < 0) return code;
    // A command that came at this moment: removed it would be taken for answered.
    if (this.isFile(aside)) return libc.renameat(this.fd, aside, this.fd, path);
    this.removeAt(this.fd, aside, 0, { left: REMOVED_AT_ONCE, later: null });
    return code;
  }

  /** Answers a command: its file goes away. */
  finish(name: string, command: string): void {
    libc.unlinkat(this.fd, `${controlDir(name)}/.${command}`);
  }

  /** The path of a command, for messages. */
  requestPath(name: string, command: Command | SupervisorCommand): string {
    return `${this.path}/${controlDir(name)}/${command}`;
  }

  /** Puts a command into a drop box; a number is minus the errno. */
  request(name: string, command: Command | SupervisorCommand, content = ""): Request | number {
    const box = controlDir(name);
    const path = `${box}/${command}`;
    for (;;) {
      const fd = libc.openat(this.fd, path, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o644);
      if (fd >= 0) {
        const wrote = content === "" ? 0 : libc.writeText(fd, content);
        if (wrote < content.length) {
          libc.unlinkat(this.fd, path);
          libc.close(fd);
          return wrote < 0 ? wrote : -E.NOSPC;
        }
        // Hold the file without having it open for writing: it is acted on when it is closed.
        const held = libc.openat(libc.AT_FDCWD, `/proc/self/fd/${fd}`, O.PATH);
        libc.close(fd);
        return held < 0 ? held : new Request(held);
      }
      if (fd !== -E.EXIST) return fd;
      // Somebody asked for the same and it was not acted on yet: its answer is ours.
      const theirs = libc.openat(this.fd, path, O.PATH | O.NOFOLLOW);
      const stat = libc.fstat(theirs);
      if (typeof stat !== "number" && stat.isFile) return new Request(theirs);
      if (theirs >= 0) libc.close(theirs);
      // What is no file is no request, and its end no answer.
      const code = theirs < 0 ? theirs : this.makeWay(box, command);
      if (code < 0 && code !== -E.NOENT) return code;
    }
  }

  // ----------------------------------------------------------- dependencies

  /**
   * The calls of sysmgr-depends that run in a service now: in the session of its main process, if
   * that is known. One of its last life may still write, if it began as that life ended.
   */
  waiters(name: string, main: ProcessId | null): Waiter[] {
    return this.list(`${name}/waiting`)
      .map((file) => this.read(`${name}/waiting/${file}`, libc.readAll))
      .map((text) => (typeof text === "string" ? parseWaiter(text) : null))
      .filter((w) => w !== null)
      .filter(({ process: { pid, started } }) => proc.isAlive(pid, started, main?.pid));
  }

  /** Says that a process waits in a service, and for what. */
  writeWaiter(name: string, waiter: Waiter): number {
    const { pid } = waiter.process;
    const [waiting, aside] = [`${name}/waiting`, `${name}/.waiting.${pid}`];
    const write = (directory: string) =>
      this.replace(`${directory}/${pid}`, formatWaiter(waiter), `${directory}/.${pid}`);
    for (;;) {
      const stat = libc.lstat(waiting, this.fd);
      const found = typeof stat !== "number" && (stat.isDirectory ? "directory" : "stranger");
      if (found === "stranger") libc.unlinkat(this.fd, waiting);
      let code = found === "directory" ? write(waiting) : -E.NOENT;
      if (code !== -E.NOENT) return code;
      // Whoever hears of the directory is to find us in it.
      this.removeTree(aside);
      code = this.makeDirectory(aside);
      if (code >= 0) code = write(aside);
      if (code >= 0) code = libc.renameat(this.fd, aside, this.fd, waiting);
      if (code >= 0) return code;
      this.removeTree(aside);
      // Another call was quicker.
      if (code !== -E.EXIST && code !== -E.NOTEMPTY) return code;
    }
  }

  /** Says that a service asked for others in this life. */
  addDepends(name: string, services: readonly string[]): void {
    this.makeDirectory(`${name}/depends`);
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
    for (const service of services) {
      const fd = libc.openat(this.fd, `${name}/depends/${service}`, flags, 0o644);
      if (fd >= 0) libc.close(fd);
    }
  }

  /** Says that it waits no more; the directory goes with the last one. */
  removeWaiter(name: string, pid: number): void {
    libc.unlinkat(this.fd, `${name}/waiting/${pid}`);
    libc.rmdirat(this.fd, `${name}/waiting`);
  }

  /** The services that a service asked for in this life. */
  depends(name: string): string[] {
    return this.list(`${name}/depends`);
  }

  /** A new life begins: what the last one asked for is past. True if it had asked. */
  clearDepends(name: string): boolean {
    this.removeTree(`${name}/waiting`);
    return this.removeTree(`${name}/depends`) === 0;
  }

  // ------------------------------------------------------------------ files

  /** What stands where sysmgr's user alone writes: nothing there can make us wait, or never end. */
  private read(path: string, reader = libc.readText): string | number {
    const fd = libc.openat(this.fd, path, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    if (fd < 0) return fd;
    const text = reader(fd);
    libc.close(fd);
    return text;
  }

  /** Reads only from a regular file, of that owner if one is given. */
  private readFile(path: string, owner?: number): string | number {
    return this.read(path, (fd) => {
      const stat = libc.fstat(fd);
      if (typeof stat === "number" || !stat.isFile) return -E.INVAL;
      return owner === undefined || stat.uid === owner ? libc.readText(fd) : -E.INVAL;
    });
  }

  /** Where the new one cannot be written, what is past must not be told, least of all a pid. */
  private replaceOrRemove(path: string, text: string): number {
    const code = this.replace(path, text);
    if (code < 0) libc.unlinkat(this.fd, path);
    return code;
  }

  /**
   * Replaces a file by rename, so that a reader sees the old or the new one, never half. On a full
   * disk the old one makes room.
   */
  private replace(path: string, text: string, staged = STAGED): number {
    const code = this.replaceOnce(path, text, staged);
    if (code !== -E.NOSPC) return code;
    libc.unlinkat(this.fd, staged);
    libc.unlinkat(this.fd, path);
    return this.replaceOnce(path, text, staged);
  }

  private replaceOnce(path: string, text: string, staged: string): number {
    const flags = O.WRONLY | O.CREAT | O.TRUNC | O.NOFOLLOW | O.NONBLOCK;
    let fd = libc.openat(this.fd, staged, flags, 0o644);
    if (isInTheWay(fd)) {
      this.removeTree(staged);
      fd = libc.openat(this.fd, staged, flags, 0o644);
    }
    if (fd < 0) return fd;
    let code = 0;
    for (let at = 0; code >= 0 && at < text.length; at += code) {
      code = libc.writeText(fd, at === 0 ? text : text.slice(at));
      if (code === 0) code = -E.NOSPC;
    }
    libc.close(fd);
    return code < 0 ? code : this.renameOver(staged, path);
  }

  /** Renames, in place of whatever stands there. */
  private renameOver(from: string, to: string): number {
    const code = libc.renameat(this.fd, from, this.fd, to);
    if (!isInTheWay(code)) return code;
    this.removeTree(to);
    return libc.renameat(this.fd, from, this.fd, to);
  }

  /**
   * A file that was only made is acted on when it is closed. A link or a directory is complete
   * as soon as it is there.
   */
  private isBeingWritten(mask: number, path: string): boolean {
    if (mask !== IN.CREATE) return false;
    const stat = libc.lstat(path, this.fd);
    return typeof stat !== "number" && stat.isFile && stat.links === 1;
  }

  private list(path: string): string[] {
    const names = libc.readDirectory(path, this.fd, O.NOFOLLOW);
    return typeof names === "number" ? [] : names;
  }

  private isFresh(path: string): boolean {
    const looked = Date.now();
    const stat = libc.lstat(path, this.fd);
    return typeof stat !== "number" && stat.isFile && stat.size === 0 && isYoung(stat, looked);
  }

  private exists(path: string): boolean {
    return typeof libc.lstat(path, this.fd) !== "number";
  }

  private makeDirectory(path: string): number {
    const code = libc.mkdirat(this.fd, path, 0o755);
    if (code !== -E.EXIST) return code;
    const stat = libc.lstat(path, this.fd);
    if (typeof stat !== "number" && stat.isDirectory) return code;
    libc.unlinkat(this.fd, path);
    return libc.mkdirat(this.fd, path, 0o755);
  }

  private isFile(path: string): boolean {
    const stat = libc.lstat(path, this.fd);
    return typeof stat !== "number" && stat.isFile;
  }

  /** Removes what stands at a path, following no link, however its owner moves it about. */
  private removeTree(path: string): number {
    const later = [path];
    let first: number | null = null;
    for (const name of later) {
      const code = this.removeAt(this.fd, name, 0, { left: Number.POSITIVE_INFINITY, later });
      first ??= code;
    }
    return first ?? 0;
  }

  /**
   * One descriptor is open per level; what lies deeper than DEPTH (somebody's mischief) is moved
   * up and removed later, if it is to be.
   */
  private removeAt(dir: number, name: string, depth: number, removal: Removal): number {
    if (removal.left-- <= 0) return -E.NOTEMPTY;
    const code = libc.unlinkat(dir, name);
    if (code !== -E.ISDIR) return code;
    const { later } = removal;
    if (depth === DEPTH) {
      if (!later) return -E.NOTEMPTY;
      const moved = `.removed${later.length}`;
      const done = libc.renameat(dir, name, this.fd, moved);
      if (done >= 0) later.push(moved);
      return done;
    }
    const fd = libc.openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    if (fd < 0) return fd;
    const names = later ? libc.namesIn(fd) : libc.someNamesIn(fd);
    for (const inner of typeof names === "number" ? [] : names) {
      this.removeAt(fd, inner, depth + 1, removal);
    }
    libc.close(fd);
    return libc.rmdirat(dir, name);
  }
}

/** A command in a drop box. It is answered when its file has no name any more. */
export class Request {
  constructor(private readonly fd: number) {}

  /** What to give inotify to be woken by the answer. */
  get watchPath(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  isAnswered(): boolean {
    const stat = libc.fstat(this.fd);
    return typeof stat === "number" || stat.links === 0;
  }

  close(): void {
    libc.close(this.fd);
  }
}

function ownPid(): string {
  return `${process.pid}\n`;
}

/** Levels of directories that removal opens at once. */
const DEPTH = 32;

/** How much may still be removed; and what lies too deep, or null if that may stay. */
type Removal = { left: number; readonly later: string[] | null };

/** Files and directories: some milliseconds. */
const REMOVED_AT_ONCE = 1_000;

/** Something that is no file stands where a file is to be. */
function isInTheWay(code: number): boolean {
  const ways: readonly number[] = [E.ISDIR, E.LOOP, E.NXIO, E.NOTEMPTY, E.EXIST];
  return ways.includes(-code);
}

/** As it was when we began to look: we may have stood still since. */
function isYoung(stat: libc.FileStat, looked: number): boolean {
  return Math.abs(looked - stat.modified) < MARKER_GRACE;
}

function controlDir(name: string): string {
  return name === SUPERVISOR ? ".control" : `${name}/control`;
}

function sameFile(a: libc.FileStat | number, b: libc.FileStat | number): boolean {
  if (typeof a === "number" || typeof b === "number") return false;
  return a.dev === b.dev && a.ino === b.ino;
}

/** This very process, as others may know it. */
export function ownProcess(): ProcessId {
  return { pid: process.pid, started: proc.readStat(process.pid)?.started ?? 0 };
}
