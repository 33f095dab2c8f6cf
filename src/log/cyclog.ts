/** A log directory as multilog(8) keeps it. */
import { err, Failure } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, E, O } from "../libc.ts";
import { LABEL, labelNow } from "./label.ts";
import { startProcessor } from "./processor.ts";
import type { Arena } from "./reader.ts";
import { APPEND, oldest, persist, READ, RotatedLog, SAFE, UNSAFE } from "./rotated.ts";
import { reason } from "./words.ts";

const PAUSE = 5_000;
/** A file is also full when a line ends within so many bytes of its greatest size. */
const MARGIN = 2_000;

export type LogOptions = {
  /** Bytes that a file may have. */
  readonly size: number;
  /** Files to be kept, the present one included. */
  readonly count: number;
  /** A shell command, if there is one. */
  readonly processor: string | null;
};

/** Ends the program, as the original would. */
export function fatal(what: string, code: number): Failure {
  return new Failure(`fatal: unable to ${what}: ${reason(code)}`, 111);
}

/** Says what cannot be done, and waits before it is tried again. */
export function pause(what: string, code: number): void {
  err(`multilog: warning: ${what}, pausing: ${reason(code)}\n`);
  Bun.sleepSync(PAUSE);
}

export class Cyclog extends RotatedLog {
  /** Whether it gets the present line. */
  selected = false;

  private readonly directory: number;
  private current = -1;

  /** Opens the directory and takes its lock. Throws a Failure. */
  constructor(
    arena: Arena,
    private readonly name: string,
    private readonly options: LogOptions,
  ) {
    super(arena);
    this.max = options.size;
    this.early = options.size - MARGIN;
    libc.mkdirat(AT_FDCWD, name, 0o700);
    this.directory = libc.openat(AT_FDCWD, name, READ | O.DIRECTORY);
    if (this.directory < 0) throw fatal(`open directory ${name}`, this.directory);
    const lock = libc.openat(this.directory, "lock", APPEND, 0o600);
    const locked = lock < 0 ? lock : libc.lockNow(lock);
    if (locked < 0) throw fatal(`lock directory ${name}`, locked);
    if (!this.resume()) this.recover();
  }

  /** Begins a new file unless the present one is empty. */
  rotateNow(): void {
    this.flush();
    if (this.size > 0) this.rotate();
  }

  /** Everything is safe on the disk, and says so. */
  close(): void {
    this.flush();
    this.settle(this.current, "current");
  }

  /** Goes on with a file that is safe. */
  private resume(): boolean {
    const found = libc.stat("current", this.directory);
    if (typeof found === "number") {
      if (found !== -E.NOENT) throw fatal(`stat ${this.name}/current`, found);
      return false;
    }
    if ((found.mode & 0o100) === 0) return false;
    this.current = this.openCurrent("append to");
    this.size = found.size;
    return true;
  }

  /** Keeps what an outage left, marked as such, and begins anew. */
  private recover(): void {
    const { directory, name } = this;
    libc.unlinkat(directory, "state");
    libc.unlinkat(directory, "newstate");
    const processed = libc.stat("processed", directory);
    if (typeof processed === "number" && processed !== -E.NOENT) {
      throw fatal(`stat ${name}/processed`, processed);
    }
    if (typeof processed !== "number" && (processed.mode & 0o100) !== 0) {
      libc.unlinkat(directory, "previous");
      this.keep("processed", "s");
    } else {
      libc.unlinkat(directory, "processed");
      this.keep("previous", "u");
    }
    this.keep("current", "u");
    const create = O.WRONLY | O.NONBLOCK | O.TRUNC | O.CREAT;
    const state = libc.openat(directory, "state", create, 0o644);
    if (state < 0) throw fatal(`write to ${name}/state`, state);
    libc.close(state);
    this.current = this.openCurrent("write to");
    this.size = 0;
  }

  private openCurrent(verb: string): number {
    const fd = libc.openat(this.directory, "current", APPEND, 0o600);
    if (fd < 0) throw fatal(`${verb} ${this.name}/current`, fd);
    const code = libc.fchmod(fd, UNSAFE);
    if (code < 0) throw fatal(`set mode of ${this.name}/current`, code);
    return fd;
  }

  protected override append(from: number, to: number): number {
    return persist(
      () => libc.writeBytes(this.current, this.bytes, from, to) || -E.NOSPC,
      (code) => pause(`unable to write to ${this.name}/current`, code),
    );
  }

  protected override rotate(): void {
    const { directory, name } = this;
    this.sync(this.current, "current");
    libc.close(this.current);
    persist(
      () => libc.renameat(directory, "current", directory, "previous"),
      (code) => pause(`unable to rename current to previous in directory ${name}`, code),
    );
    this.current = this.create("current");
    this.size = 0;
    persist(
      () => libc.fchmod(this.current, UNSAFE),
      (code) => pause(`unable to set mode of ${name}/current`, code),
    );
    persist(
      () => libc.chmodat(directory, "previous", SAFE),
      (code) => pause(`unable to set mode of ${name}/previous`, code),
    );
    if (this.options.processor === null) this.keep("previous", "s");
    else this.process(this.options.processor);
  }

  private process(command: string): void {
    while (!this.runProcessor(command));
    this.settleFile("processed");
    const newstate = this.create("newstate");
    this.sync(newstate, "newstate");
    libc.close(newstate);
    const { directory, name } = this;
    persist(
      () => libc.unlinkat(directory, "previous"),
      (code) => pause(`unable to remove ${name}/previous`, code),
    );
    persist(
      () => libc.renameat(directory, "newstate", directory, "state"),
      (code) => pause(`unable to rename newstate to state in directory ${name}`, code),
    );
    this.keep("processed", "s");
  }

  /** Runs it once; false, after a pause, when it has to be run again. */
  private runProcessor(command: string): boolean {
    const { directory, name } = this;
    const pid = startProcessor(directory, command, "previous", "processed");
    if (pid < 0) {
      pause(`unable to run processor in ${name}`, pid);
      return false;
    }
    const status = libc.waitFor(pid);
    if (typeof status !== "number" && status.code === 0) return true;
    if (typeof status === "number") pause(`wait failed for processor in ${name}`, status);
    else if (status.signal !== null) pause(`processor crashed in ${name}`, 0);
    else {
      err(`multilog: warning: processor failed in ${name}, pausing\n`);
      Bun.sleepSync(PAUSE);
    }
    return false;
  }

  /** Makes a file an old log, with the code that says in what state it is. */
  private keep(file: string, code: "s" | "u"): void {
    const { directory, name } = this;
    const stat = this.statOf(file);
    if (!stat) return;
    // Two names: an outage came between the link and the removal.
    if (stat.links === 1) this.linkAs(file, code);
    persist(
      () => libc.unlinkat(directory, file),
      (why) => pause(`unable to remove ${name}/${file}`, why),
    );
    this.removeOld();
  }

  private statOf(file: string): libc.FileStat | null {
    for (;;) {
      const stat = libc.stat(file, this.directory);
      if (typeof stat !== "number") return stat;
      if (stat === -E.NOENT) return null;
      pause(`unable to stat ${this.name}/${file}`, stat);
    }
  }

  private linkAs(file: string, code: "s" | "u"): void {
    for (;;) {
      const name = `${labelNow()}.${code}`;
      const result = libc.linkat(this.directory, file, name);
      if (result >= 0) return;
      pause(`unable to link to ${this.name}/${name}`, result);
    }
  }

  /** Until there is room for one more. */
  private removeOld(): void {
    for (;;) {
      const names = libc.readDirectory(".", this.directory);
      if (typeof names === "number") {
        pause(`unable to read ${this.name}`, names);
        continue;
      }
      const old = names.filter((n) => n.startsWith("@") && n.length >= LABEL);
      const first = oldest(old);
      if (first === undefined || old.length < this.options.count) return;
      const code = libc.unlinkat(this.directory, first);
      if (code < 0) pause(`unable to remove ${this.name}/${first}`, code);
    }
  }

  private create(file: string): number {
    return persist(
      () => libc.openat(this.directory, file, APPEND, 0o600),
      (code) => pause(`unable to create ${this.name}/${file}`, code),
    );
  }

  private sync(fd: number, file: string): void {
    persist(
      () => libc.fsync(fd),
      (code) => pause(`unable to write ${this.name}/${file} to disk`, code),
    );
  }

  private settle(fd: number, file: string): void {
    this.sync(fd, file);
    persist(
      () => libc.fchmod(fd, SAFE),
      (code) => pause(`unable to set mode of ${this.name}/${file}`, code),
    );
  }

  private settleFile(file: string): void {
    const fd = this.create(file);
    this.settle(fd, file);
    libc.close(fd);
  }
}
