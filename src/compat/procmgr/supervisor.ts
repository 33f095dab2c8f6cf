/**
 * The process that supervises the programs: the scanner of sysmgr(8), as a child of the daemon. Each
 * of the two may die without the other: programs live on, a new supervisor adopts them, a new daemon
 * finds the supervisor.
 */
import { parseCount } from "../../bytes.ts";
import { cleanEnvironment, enterRuntimeEnvironment } from "../../environment.ts";
import * as libc from "../../libc.ts";
import { E, SIGNALS } from "../../libc.ts";
import type { RunDir } from "../../rundir.ts";
import { supervise } from "../../sysmgr.ts";
import type { Level } from "../../transition.ts";
import { openNull } from "./caller.ts";
import { ownCommand } from "./launch.ts";
import { type Place, placeFor } from "./place.ts";
import { ProgramSource } from "./services.ts";

/** The first argument of a procmgr that is to be the supervisor. */
export const SUPERVISE = "--supervise";

const LEVELS: readonly Level[] = ["error", "info", "debug"];

/** Arguments: the path where the daemon is found, the level of messages, the programs' limit. */
export function main([socket = "", word = "", nofile = ""]: string[]): Promise<number> {
  enterRuntimeEnvironment();
  const { sysdir, rundir } = placeFor(socket);
  return supervise(new ProgramSource(sysdir), rundir, {
    program: "procmgr",
    level: LEVELS.find((level) => level === word) ?? "info",
    nofile: parseCount(nofile),
    sysdir,
  });
}

/** One that dies younger than this is not replaced before it would have been so old. */
const PAUSE = 1_000;

/** How often it is asked to end, and how often is looked whether it can be asked. */
const STOP_TRIES = 3;
const LOOK = 10;

export type SupervisorOptions = {
  readonly level: Level;
  /** What programs get. */
  readonly nofile: number;
  readonly umask: number;
};

type Running = { readonly pid: number; readonly pidfd: number; readonly ended: Promise<void> };

export class Supervisor {
  private running: Running | null = null;
  private begun = 0;
  private timer: Timer | null = null;
  private stopping = false;

  constructor(
    private readonly place: Place,
    private readonly rundir: RunDir,
    private readonly options: SupervisorOptions,
    private readonly complain: (text: string) => void,
  ) {}

  /** Finds the one that works, or starts one. */
  ensure(): void {
    if (this.running) return;
    this.begun = performance.now();
    const pid = this.find() ?? this.spawn();
    const pidfd = pid < 0 ? pid : libc.pidfdOpen(pid);
    if (pidfd >= 0) this.follow(pid, pidfd);
    else this.replace(`cannot be started: ${libc.strerror(pidfd)}`);
  }

  /** Stops all programs in order; resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    // One that dies at it leaves programs, which the next one takes over and stops.
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

  /** One that an earlier daemon has left; whoever works there has the lock. */
  private find(): number | null {
    const lock = this.rundir.lock();
    if (lock >= 0) libc.close(lock);
    return lock === -E.AGAIN ? this.rundir.supervisor() : null;
  }

  private spawn(): number {
    const none = openNull();
    const { level, nofile, umask } = this.options;
    const pid = libc.spawn({
      path: "/proc/self/exe",
      argv: [...ownCommand(), SUPERVISE, this.place.socket, level, String(nofile)],
      env: new libc.Strings(cleanEnvironment()),
      fds: [[none, 0]],
      cwd: "/",
      limits: libc.getFileLimits(),
      umask,
    });
    libc.close(none);
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

  /** The programs run on without it; the next one adopts them. */
  private replace(why: string): void {
    this.complain(`the supervisor of the programs ${why}; starting another one`);
    const wait = Math.max(0, this.begun + PAUSE - performance.now());
    this.timer = setTimeout(() => this.ensure(), wait);
  }
}
