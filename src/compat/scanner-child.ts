/**
 * A supervisor (the scanner of sysmgr) as a child of a front end. Each of the two may die without
 * the other: what runs lives on, a new supervisor adopts it, a new front end finds the supervisor.
 */
import * as libc from "../libc.ts";
import { E, SIGNALS } from "../libc.ts";
import type { RunDir } from "../rundir.ts";

/** One that dies younger than this is not replaced before it would have been so old. */
const PAUSE = 1_000;

/** How often it is asked to end, and how often is looked whether it can be asked. */
const STOP_TRIES = 3;
const LOOK = 10;

export type ScannerWays = {
  /** Starts one; its pid, or minus the errno. */
  readonly spawn: () => number;
  /** What it supervises, for messages. */
  readonly what: string;
  readonly complain: (text: string) => void;
  /** Another one works now: what the former one was asked may be lost. */
  readonly onReplaced?: () => void;
};

type Running = { readonly pid: number; readonly pidfd: number; readonly ended: Promise<void> };

export class ScannerChild {
  private running: Running | null = null;
  private begun = 0;
  private timer: Timer | null = null;
  private stopping = false;

  constructor(
    private readonly rundir: RunDir,
    private readonly ways: ScannerWays,
  ) {}

  /** Does one work that an earlier front end has left? */
  get isThere(): boolean {
    return this.find() !== null;
  }

  /** Finds the one that works, or starts one. */
  ensure(): void {
    if (this.running) return;
    this.begun = performance.now();
    const pid = this.find() ?? this.ways.spawn();
    const pidfd = pid < 0 ? pid : libc.pidfdOpen(pid);
    if (pidfd >= 0) this.follow(pid, pidfd);
    else this.replace(`cannot be started: ${libc.strerror(pidfd)}`);
  }

  /** Stops everything in order; resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.timer) clearTimeout(this.timer);
    // One that dies at it leaves something, which the next one adopts and stops.
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

  /** Whoever works there has the lock. */
  private find(): number | null {
    const lock = this.rundir.lock();
    if (lock >= 0) libc.close(lock);
    return lock === -E.AGAIN ? this.rundir.supervisor() : null;
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

  /** What it supervises runs on without it. */
  private replace(why: string): void {
    const { what, complain, onReplaced } = this.ways;
    complain(`the supervisor of the ${what} ${why}; starting another one`);
    const again = () => {
      this.ensure();
      onReplaced?.();
    };
    this.timer = setTimeout(again, Math.max(0, this.begun + PAUSE - performance.now()));
  }
}
