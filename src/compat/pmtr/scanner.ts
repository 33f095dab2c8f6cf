/**
 * The process that supervises the jobs: the scanner of sysmgr(8), as a child of pmtr. Each of the
 * two may die without the other: jobs live on, a new scanner adopts them, a new pmtr finds the
 * scanner.
 */
import { commandLine, parseCount } from "../../bytes.ts";
import { cleanEnvironment, enterRuntimeEnvironment, ownPath } from "../../environment.ts";
import * as libc from "../../libc.ts";
import { E, O, SIGNALS } from "../../libc.ts";
import type { RunDir } from "../../rundir.ts";
import { supervise } from "../../sysmgr.ts";
import type { Level, Messages } from "./messages.ts";
import { type Place, placeIn } from "./place.ts";
import { JobSource } from "./store.ts";

/** The first argument of a pmtr that is to be the scanner. */
export const SCANNER = "--scanner";

/** A scanner that dies younger than this is not replaced before it would have been so old. */
const PAUSE = 1_000;

/** How often it is asked to end, and how often is looked whether it can be asked. */
const STOP_TRIES = 3;
const LOOK = 10;

/** Arguments: the directory of state, the level of messages, the services' limit of descriptors. */
export function main([dir = "", level = "", nofile = ""]: string[]): Promise<number> {
  enterRuntimeEnvironment();
  const { sysdir, rundir } = placeIn(dir);
  return supervise(new JobSource(sysdir), rundir, {
    program: "pmtr",
    level: level === "debug" ? "debug" : "info",
    nofile: parseCount(nofile),
    sysdir,
  });
}

/** How to call ourselves with other arguments: the words before them. */
export function ownCommand(): string[] {
  const path = ownPath() ?? "/proc/self/exe";
  const [, second] = commandLine();
  return path.endsWith("/sysmgr") && second === "pmtr" ? [path, "pmtr"] : [path];
}

export type ScannerOptions = {
  readonly level: Level;
  readonly nofile: number;
  /** It, and so the jobs, have our stdin, stdout and stderr. */
  readonly inherit: boolean;
};

type Running = { readonly pid: number; readonly pidfd: number; readonly ended: Promise<void> };

export class Scanner {
  private running: Running | null = null;
  private begun = 0;
  private timer: Timer | null = null;
  private stopping = false;

  constructor(
    private readonly place: Place,
    private readonly rundir: RunDir,
    private readonly options: ScannerOptions,
    private readonly messages: Messages,
    /** Another one works now: what the former one was asked may be lost. */
    private readonly onReplaced: () => void,
  ) {}

  /** Does one work that an earlier pmtr has left? */
  get isThere(): boolean {
    return this.find() !== null;
  }

  /** Finds the one that works, or starts one. */
  ensure(): void {
    if (this.running) return;
    this.begun = performance.now();
    const pid = this.find() ?? this.spawn();
    const pidfd = pid < 0 ? pid : libc.pidfdOpen(pid);
    if (pidfd >= 0) this.follow(pid, pidfd);
    else this.replace(`cannot be started: ${libc.strerror(pidfd)}`);
  }

  /** Stops all jobs in order; resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    // One that dies at it leaves jobs, which the next one adopts and stops.
    for (let tries = 0; tries < STOP_TRIES; tries++) {
      this.ensure();
      const { running } = this;
      if (!running) return;
      // Before that it would not survive the signal, nor stop anything.
      while (this.running && this.rundir.supervisor() !== running.pid) await Bun.sleep(LOOK);
      this.terminate();
      await running.ended;
      if (this.rundir.services().length === 0) return;
    }
  }

  /** Asks it to end; a second time makes it quick. */
  terminate(): void {
    if (this.running) libc.pidfdKill(this.running.pidfd, SIGNALS.TERM);
  }

  /** One that an earlier pmtr has left; whoever works there has the lock. */
  private find(): number | null {
    const lock = this.rundir.lock();
    if (lock >= 0) libc.close(lock);
    return lock === -E.AGAIN ? this.rundir.supervisor() : null;
  }

  private spawn(): number {
    const { level, nofile, inherit } = this.options;
    const args = [SCANNER, this.place.dir, level, String(nofile)];
    const none = libc.openat(libc.AT_FDCWD, "/dev/null", O.RDWR);
    // Open for both, so that no reader is missed when we die.
    const messages = libc.openat(libc.AT_FDCWD, this.place.messages, O.RDWR);
    const silent = [
      [none, 0],
      [none, 1],
      [messages, 2],
    ] as const;
    const pid = libc.spawn({
      path: "/proc/self/exe",
      argv: [...ownCommand(), ...args],
      env: new libc.Strings(cleanEnvironment()),
      fds: inherit ? [] : silent,
      limits: libc.getFileLimits(),
      umask: process.umask(),
    });
    libc.close(none);
    libc.close(messages);
    return pid;
  }

  private follow(pid: number, pidfd: number): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.running = { pid, pidfd, ended: promise };
    // A pidfd has nothing to read: the attempt fails as soon as there would be something.
    const onEnd = () => {
      libc.close(pidfd);
      this.running = null;
      resolve();
      if (!this.stopping) this.replace("has ended");
    };
    Bun.file(pidfd).stream().getReader().read().then(onEnd, onEnd);
  }

  /** Jobs run on without it; the next one adopts them. */
  private replace(why: string): void {
    this.messages.write("error", `the supervisor of the jobs ${why}; starting another one`);
    const again = () => {
      this.ensure();
      this.onReplaced();
    };
    this.timer = setTimeout(again, Math.max(0, this.begun + PAUSE - performance.now()));
  }
}

/** Reads what the scanner says, and hands it on line by line. */
export class MessagePipe {
  private readonly fd: number;
  private rest = "";

  constructor(
    place: Place,
    private readonly onLine: (line: string) => void,
  ) {
    this.fd = libc.openat(libc.AT_FDCWD, place.messages, O.RDWR | O.NONBLOCK);
    if (this.fd >= 0) void this.readForEver();
  }

  /** What is there now. */
  drain(): void {
    for (let text = libc.readText(this.fd); typeof text === "string" && text !== ""; ) {
      this.take(text);
      text = libc.readText(this.fd);
    }
  }

  private async readForEver(): Promise<void> {
    const reader = Bun.file(this.fd).stream().getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.take(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1"));
    }
  }

  private take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = (lines.pop() ?? "").slice(-10_000);
    for (const line of lines) this.onLine(line);
  }
}
