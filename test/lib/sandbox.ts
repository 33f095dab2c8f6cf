/** A private SYSDIR and RUNDIR with what runs on them; nothing of it is left in the end. */
import { expect } from "bun:test";
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exists, list, makeDirectory, read, remove } from "./files.ts";
import { carriers, kill } from "./processes.ts";
import { Service } from "./service.ts";
import { Supervisor } from "./supervisor.ts";
import { PATIENCE, until } from "./until.ts";

/** Where the compiled programs are. */
export const BIN = join(import.meta.dir, "../../build/bin");

const PREFIX = "sysmgr-test.";
const base = pickBase();

export type StartOptions = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command line that runs what is appended to it. */
  readonly wrapper?: readonly string[];
  /** sysmgr runs in another mount namespace: RUNDIR is looked at through it. */
  readonly elsewhere?: boolean;
};

/** What a program that ended by itself left. */
export type Outcome = { readonly code: number; readonly out: string; readonly err: string };

export class Sandbox {
  readonly dir = mkdtempSync(join(base, PREFIX));
  readonly sysdir = `${this.dir}/sys`;
  /** A test may choose another before it starts anything. */
  rundir = `${this.dir}/run`;
  /** Put before a path to open it as sysmgr would. */
  private root = "";
  private readonly supervisors: Supervisor[] = [];
  private traces = 0;

  constructor() {
    makeDirectory(this.dir);
    makeDirectory(this.sysdir);
    makeDirectory(`${this.dir}/trace`, 0o777);
    process.once("exit", this.removeNow);
  }

  /** A service that is not in SYSDIR yet. */
  declare(name: string): Service {
    const box = this;
    const places = {
      get sysdir() {
        return box.root + box.sysdir;
      },
      get rundir() {
        return box.root + box.rundir;
      },
    };
    return new Service(name, places, `${this.dir}/trace/${++this.traces}`);
  }

  /** A service that is: a script, which stays unless the body says otherwise. */
  service(name: string, body?: string): Service {
    return this.declare(name).install(body);
  }

  /** sysmgr on our directories, once it works. */
  async start(options: StartOptions = {}): Promise<Supervisor> {
    const output = `${this.dir}/output.${this.supervisors.length}`;
    const fd = openSync(output, "a");
    const { args = [], wrapper = [], env = {}, cwd = "/" } = options;
    const command = [...wrapper, `${BIN}/sysmgr`, "-d", this.sysdir, "-r", this.rundir, ...args];
    const child = Bun.spawn(command, {
      env: { ...this.environment, ...env },
      cwd,
      stdio: ["ignore", fd, fd],
    });
    closeSync(fd);
    const root = (pid: number) => (options.elsewhere ? `/proc/${pid}/root` : "");
    const rundir = (pid: number) => root(pid) + this.rundir;
    const supervisor = await Supervisor.ready(child, rundir, output);
    this.root = root(supervisor.pid);
    this.supervisors.push(supervisor);
    return supervisor;
  }

  /** Runs a program of ours on our directories, or any command, to its end. */
  async run(
    command: readonly string[],
    options: Omit<StartOptions, "args"> = {},
  ): Promise<Outcome> {
    const [program = "", ...args] = command;
    const path =
      program.includes("/") || !exists(`${BIN}/${program}`) ? program : `${BIN}/${program}`;
    const places = { SYSDIR: this.sysdir, RUNDIR: this.rundir };
    const child = Bun.spawn([...(options.wrapper ?? []), path, ...args], {
      env: { ...this.environment, ...places, SVWAIT: "90", ...options.env },
      cwd: options.cwd ?? "/",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PATIENCE,
      killSignal: "SIGKILL",
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, out, err };
  }

  /** Only what every program needs; the last one tells whose a process is (scripts/leftovers.ts). */
  get environment(): Record<string, string> {
    return { PATH: process.env.PATH ?? "/bin", SANDBOX: this.dir, TMPDIR: tmpdir() };
  }

  /** Waits until RUNDIR knows nothing of a service but, perhaps, its stop marker. */
  async gone(service: Service): Promise<void> {
    const left = () => list(service.directory).filter((file) => file !== "lock");
    await until(() => left().length === 0, `${service.name} is gone`);
  }

  /** At the end of every test: what still runs is in order, can be stopped, and leaves nothing. */
  async check(): Promise<void> {
    for (const supervisor of this.supervisors.filter((s) => !s.ended)) {
      await supervisor.verify();
      await supervisor.stop();
    }
    await until(() => carriers(this.dir).length === 0, "nothing of it runs").catch((error) => {
      const left = carriers(this.dir).map((pid) => read(`/proc/${pid}/cmdline`));
      throw new Error(`${error.message}; left are ${left.join(", ").replaceAll("\0", " ")}`);
    });
    expect(this.internalErrors()).toEqual([]);
  }

  private internalErrors(): string[] {
    const lines = this.supervisors.flatMap((s) => s.messages.split("\n"));
    return lines.filter((line) => line.includes("internal error"));
  }

  /** For the report of a failure. */
  describe(): string {
    return this.supervisors.map((s) => s.messages.split("\n").slice(-40).join("\n")).join("----\n");
  }

  /** Kills what is left, by pid, and removes the directory. */
  async remove(): Promise<void> {
    process.off("exit", this.removeNow);
    // What is in the midst of an exec has no environment to be found by: so we look again.
    const isGone = () => {
      if (this.killAll() === 0) remove(this.dir);
      return !exists(this.dir);
    };
    await until(isGone, "everything is dead and removed");
  }

  private readonly removeNow = () => {
    while (this.killAll() > 0);
    remove(this.dir);
  };

  private killAll(): number {
    const left = carriers(this.dir);
    for (const pid of left) kill(pid, "SIGKILL");
    return left.length;
  }
}

/** A tmpfs where there is one. What a killed run left there long ago is removed. */
function pickBase(): string {
  const shm = "/dev/shm";
  try {
    accessSync(shm, constants.W_OK);
  } catch {
    return tmpdir();
  }
  for (const name of readdirSync(shm)) {
    const path = join(shm, name);
    if (!name.startsWith(PREFIX)) continue;
    // Another test may remove its own at this very moment.
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (made < Date.now() - 3_600_000) remove(path);
  }
  return shm;
}
