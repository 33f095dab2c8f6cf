/** Status files that no sysmgr wrote, and processes for them to speak of. */
import { readFileSync, readlinkSync } from "node:fs";
import { makeDirectory, place, read } from "./files.ts";
import { kill, readStat } from "./processes.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Service } from "./service.ts";

/** A key that is to go is null. */
type Changes = Readonly<Record<string, string | number | null>>;

/** Changes the status of a service while no sysmgr runs; without one, begins with a new one. */
export function forge(service: Service, changes: Changes): void {
  const before = read(service.file("status")) === null ? fresh() : service.status;
  const values = Object.entries({ ...before, ...changes }).filter(([, v]) => v !== null);
  makeDirectory(service.file("control"));
  place(service.file("status"), values.map(([key, value]) => `${key}=${value}\n`).join(""));
}

/** As a status tells it. */
export function now(): string {
  return (Date.now() / 1000).toFixed(3);
}

function fresh(): Changes {
  return {
    state: "down",
    wanted: "up",
    boot: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    pidns: readlinkSync("/proc/self/ns/pid").replace(/\D/g, ""),
    since: now(),
    runs: 0,
  };
}

/** A process of ours in a session of its own. */
export class Stranger {
  private readonly child: Bun.Subprocess;

  constructor(box: Sandbox, path: string, env: Record<string, string> = {}) {
    this.child = Bun.spawn(["setsid", path], {
      env: { ...box.environment, ...env },
      cwd: "/",
      stdio: ["ignore", "ignore", "ignore"],
    });
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Ends it and what it has forked, and reaps it. */
  async end(): Promise<void> {
    kill(-this.pid, "SIGKILL");
    await this.child.exited;
  }
}

/** Starts a service's script as sysmgr would have. */
export function startByHand(
  box: Sandbox,
  service: Service,
  env: Record<string, string> = {},
): Stranger {
  const places = { SYSDIR: box.sysdir, RUNDIR: box.rundir, SYSMGR_SERVICE: service.name };
  return new Stranger(box, service.entry, { ...places, ...env });
}

/** The pid and start time of a live process, as a status file tells them. */
export function identity(pid: number): { pid: number; start: number } {
  return { pid, start: readStat(pid)?.started ?? 0 };
}
