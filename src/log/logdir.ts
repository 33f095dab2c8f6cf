/** A log directory as svlogd(8) keeps it. */
import { err } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, E, O } from "../libc.ts";
import { defaults, type LogConfig, parseConfig } from "./config.ts";
import { LABEL, labelNow } from "./label.ts";
import { matches } from "./pattern.ts";
import { startProcessor } from "./processor.ts";
import type { Arena } from "./reader.ts";
import { APPEND, oldest, persist, READ, RotatedLog, SAFE, UNSAFE } from "./rotated.ts";
import { reason } from "./words.ts";

const PAUSE = 3_000;
/** A processor that fails is not started more often than this. */
const RESTART = 1_000;

/** "@", 24 digits, a dot and a code: s as it should be, u not processed, t being processed. */
const isOld = (name: string) => name.startsWith("@") && name.length === LABEL + 2;

export function warn(message: string): void {
  err(`svlogd: warning: ${message}\n`);
}

function info(message: string): void {
  err(`svlogd: info: ${message}\n`);
}

/** Where the log's own words go, and how its lines are told from others'. */
export type LogDirOptions = {
  readonly verbose: boolean;
  /** Bytes of a line that patterns see. */
  readonly lineMax: number;
};

export class LogDir extends RotatedLog {
  /** What config says. */
  config: LogConfig = defaults;
  /** Whether it gets the present line, and whether standard error does. */
  selected = true;
  alerted = false;

  // -1: not open. Kept together: all are open or none is.
  private directory = -1;
  private lock = -1;
  private current = -1;
  private opened = false;

  /** The label of the last file that was finished. */
  private saved = "";
  private processor: { readonly pid: number; readonly since: number } | null = null;
  /** When it is due again, and when the file is too old; as performance.now() counts. */
  private restartAt: number | null = null;
  private rotateAt: number | null = null;

  constructor(
    arena: Arena,
    readonly name: string,
    private readonly options: LogDirOptions,
  ) {
    super(arena);
  }

  get isOpen(): boolean {
    return this.directory >= 0;
  }

  /** The next moment at which look() has something to do, if there is one. */
  get deadline(): number {
    const never = Number.POSITIVE_INFINITY;
    return Math.min(this.restartAt ?? never, this.rotateAt ?? never);
  }

  /** Does what is due. */
  look(now: number): void {
    if (this.restartAt !== null && this.restartAt <= now) this.startProcessor();
    if (this.rotateAt !== null && this.rotateAt <= now) this.rotateNow();
  }

  /** Opens the directory, takes its lock, reads its config. Says why when it cannot. */
  open(): boolean {
    const trouble = this.tryOpen();
    if (trouble === null) return true;
    this.close();
    warn(`${trouble.what}: ${this.name}: ${reason(trouble.code)}`);
    return false;
  }

  private tryOpen(): { what: string; code: number } | null {
    this.directory = libc.openat(AT_FDCWD, this.name, READ | O.DIRECTORY);
    if (this.directory < 0) {
      const verb = this.directory === -E.NOTDIR ? "change" : "open log";
      return { what: `unable to ${verb} directory`, code: this.directory };
    }
    this.lock = libc.openat(this.directory, "lock", APPEND, 0o600);
    const locked = this.lock < 0 ? this.lock : libc.lockNow(this.lock);
    if (locked < 0) return { what: "unable to lock directory", code: locked };
    this.configure();
    return this.openCurrent();
  }

  private configure(): void {
    const text = this.readConfig();
    const { config, faults } = parseConfig(text ?? "");
    for (const fault of faults) warn(fault);
    this.config = config;
    this.max = config.size;
    const early = config.size - this.options.lineMax;
    this.early = config.size > 0 && early >= 0 ? early : Number.POSITIVE_INFINITY;
    this.rotateAt = config.age > 0 ? performance.now() + config.age * 1000 : null;
  }

  private readConfig(): string | null {
    const fd = libc.openat(this.directory, "config", READ);
    const text = fd < 0 ? fd : libc.readAll(fd);
    if (fd >= 0) libc.close(fd);
    if (typeof text === "number") {
      if (text !== -E.NOENT) warn(`unable to read config: ${this.name}: ${reason(text)}`);
      return null;
    }
    if (this.options.verbose) info(`read: ${this.name}/config`);
    return text;
  }

  private openCurrent(): { what: string; code: number } | null {
    const found = libc.stat("current", this.directory);
    if (typeof found === "number" && found !== -E.NOENT) {
      return { what: "unable to stat current", code: found };
    }
    let size = typeof found === "number" ? null : found.size;
    if (typeof found !== "number" && found.size > 0 && (found.mode & 0o100) === 0) {
      // An outage: it may not be complete, and a line of ours must not go on where it ends.
      this.save("u");
      this.removeOld();
      size = null;
    }
    this.current = this.create("unable to open current");
    this.size = size ?? 0;
    this.opened = true;
    if (this.options.verbose) info(`${size === null ? "new" : "append"}: ${this.name}/current`);
    return null;
  }

  /** Everything is safe on the disk, and says so. */
  close(): void {
    if (this.directory < 0) return;
    if (this.options.verbose) info(`close: ${this.opened ? this.name : ""}`);
    if (this.current >= 0) {
      this.flush();
      this.settle();
    }
    for (const fd of [this.directory, this.lock, this.current]) if (fd >= 0) libc.close(fd);
    this.directory = this.lock = this.current = -1;
    this.rotateAt = null;
  }

  /** Decides on a line, bytes[from] up to, but not including, bytes[to]. */
  match(from: number, to: number): void {
    this.selected = true;
    this.alerted = false;
    for (const { kind, pattern } of this.config.patterns) {
      const yes = kind === "select" || kind === "alert";
      const forLog = kind === "select" || kind === "deselect";
      // A pattern that would change nothing need not be tried.
      if (yes === (forLog ? this.selected : this.alerted)) continue;
      if (!matches(pattern, this.bytes, from, to, true)) continue;
      if (forLog) this.selected = yes;
      else this.alerted = yes;
    }
  }

  /** Begins a new file unless the present one is empty. */
  rotateNow(): void {
    if (!this.isOpen) return;
    this.flush();
    if (this.size > 0) this.rotate();
    const now = performance.now();
    if (this.rotateAt !== null && this.rotateAt <= now) {
      this.rotateAt = now + this.config.age * 1000;
    }
  }

  protected override rotate(): void {
    this.waitForProcessor();
    const { verbose } = this.options;
    const size = this.size;
    this.settle();
    libc.close(this.current);
    const name = this.save(this.config.processor === null ? "s" : "u");
    if (verbose) info(`rename: ${this.name}/current ${name} ${size}`);
    this.current = this.create("unable to create new current");
    this.size = 0;
    this.removeOld();
    this.startProcessor();
  }

  /** Renames current to a name that sorts last. */
  private save(code: "s" | "u"): string {
    let name = "";
    do {
      this.saved = labelNow();
      name = `${this.saved}.${code}`;
    } while (libc.lstat(name, this.directory) !== -E.NOENT);
    this.persist("unable to rename current", () =>
      libc.renameat(this.directory, "current", this.directory, name),
    );
    return name;
  }

  private create(complaint: string): number {
    const fd = this.persist(complaint, () => libc.openat(this.directory, "current", APPEND, 0o600));
    this.persist("unable to set mode of current", () => libc.fchmod(fd, UNSAFE));
    return fd;
  }

  private settle(): void {
    this.persist("unable to fsync current logfile", () => libc.fsync(this.current));
    this.persist("unable to set mode of current", () => libc.fchmod(this.current, SAFE));
  }

  protected override append(from: number, to: number): number {
    return persist(
      () => libc.writeBytes(this.current, this.bytes, from, to) || -E.NOSPC,
      (code) => {
        if (code === -E.NOSPC && this.removeForSpace()) return;
        this.pause("unable to write to current", code);
      },
    );
  }

  /** Removes leftovers of processors, and the oldest file if there is one too many. */
  private removeOld(): void {
    const names = this.oldNames("unable to read directory");
    const { keep } = this.config;
    for (const name of names.filter((n) => n.endsWith("t"))) {
      const code = libc.unlinkat(this.directory, name);
      if (code < 0) warn(`unable to unlink processor leftover: ${name}: ${reason(code)}`);
    }
    const old = names.filter((n) => !n.endsWith("t"));
    const first = oldest(old);
    if (keep === 0 || old.length <= keep || first === undefined) return;
    if (this.options.verbose) info(`delete: ${this.name}/${first}`);
    this.unlinkOldest(first);
  }

  /** On a full disk: removes the oldest file if there are more than are always kept. */
  private removeForSpace(): boolean {
    const { keep, keepAlways } = this.config;
    if (keepAlways >= keep) return false;
    const old = this.oldNames("unable to read directory, want remove old logfile");
    const first = oldest(old);
    if (old.length <= keepAlways || first === undefined) return false;
    warn(`out of disk space, delete: ${this.name}/${first}`);
    return this.unlinkOldest(first);
  }

  private unlinkOldest(file: string): boolean {
    const code = libc.unlinkat(this.directory, file);
    if (code < 0) warn(`unable to unlink oldest logfile: ${this.name}: ${reason(code)}`);
    return code >= 0;
  }

  private oldNames(complaint: string): string[] {
    const names = libc.readDirectory(".", this.directory);
    if (typeof names !== "number") return names.filter(isOld);
    warn(`${complaint}: ${this.name}: ${reason(names)}`);
    return [];
  }

  // ---------------------------------------------------------------- processor

  get processorPid(): number | null {
    return this.processor?.pid ?? null;
  }

  private startProcessor(): void {
    this.restartAt = null;
    const command = this.config.processor;
    if (command === null || !this.isOpen) return;
    const [input, output] = [`${this.saved}.u`, `${this.saved}.t`];
    if (this.options.verbose) info(`processing: ${this.name}/${input}`);
    const pid = this.persist("unable to start processor", () =>
      startProcessor(this.directory, command, input, output),
    );
    this.processor = { pid, since: performance.now() };
  }

  /** What is to be done when the processor has ended. */
  processorEnded(status: libc.WaitStatus): void {
    const since = this.processor?.since ?? 0;
    this.processor = null;
    if (!this.isOpen) return;
    const { directory, name, saved } = this;
    if (status.code !== 0) {
      warn(`processor failed, restart: ${name}`);
      libc.unlinkat(directory, `${saved}.t`);
      this.restartAt = Math.max(performance.now(), since + RESTART);
      return;
    }
    this.persist("unable to rename processed", () =>
      libc.renameat(directory, `${saved}.t`, directory, `${saved}.s`),
    );
    this.persist("unable to set mode of processed", () =>
      libc.chmodat(directory, `${saved}.s`, SAFE),
    );
    if (libc.unlinkat(directory, `${saved}.u`) < 0) warn(`unable to unlink: ${name}/${saved}.u`);
    this.persist("unable to rename state", () =>
      libc.renameat(directory, "newstate", directory, "state"),
    );
    if (this.options.verbose) info(`processed: ${name}/${saved}.s`);
  }

  /** Until there is none, and the last one has succeeded. */
  waitForProcessor(): void {
    while (this.processor || this.restartAt !== null) {
      if (!this.processor) {
        Bun.sleepSync(Math.max(0, (this.restartAt ?? 0) - performance.now()));
        this.startProcessor();
        continue;
      }
      const status = libc.waitFor(this.processor.pid);
      if (typeof status !== "number") this.processorEnded(status);
      else this.pause("error waiting for processor", status);
    }
  }

  // ------------------------------------------------------------------- trouble

  private persist(complaint: string, call: () => number): number {
    return persist(call, (code) => this.pause(complaint, code));
  }

  private pause(complaint: string, code: number): void {
    err(`svlogd: pausing: ${complaint}: ${this.name}: ${reason(code)}\n`);
    Bun.sleepSync(PAUSE);
  }
}
