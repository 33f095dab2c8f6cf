/**
 * Services that nobody runs, told of twice: in the words of runsv and supervise, for Debian's
 * clients, and in those of sysmgr, for ours. So each can be asked about states that last for ever,
 * and what it sends is seen.
 */
import {
  closeSync,
  constants,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { ageOf } from "../../src/proc.ts";
import { COMMANDS, RunDir } from "../../src/rundir.ts";
import { BLANK, type State, type Status, type Wanted } from "../../src/status.ts";
import { makeDirectory } from "./files.ts";
import { readStat } from "./processes.ts";
import { BIN } from "./sandbox.ts";
import { PATIENCE } from "./until.ts";

/** A state as runsv writes it, and as sysmgr does. */
type Pair = {
  readonly theirs: { readonly state: number; readonly want: string; readonly term?: number };
  readonly ours: { readonly state: State; readonly wanted: Wanted };
};

export const STATES = {
  running: { theirs: { state: 1, want: "u" }, ours: { state: "up", wanted: "up" } },
  "running once": { theirs: { state: 1, want: "d" }, ours: { state: "up", wanted: "once" } },
  stopping: {
    theirs: { state: 1, want: "d", term: 1 },
    ours: { state: "stopping", wanted: "down" },
  },
  restarting: {
    theirs: { state: 1, want: "u", term: 1 },
    ours: { state: "stopping", wanted: "up" },
  },
  paused: { theirs: { state: 1, want: "u" }, ours: { state: "up", wanted: "up" } },
  down: { theirs: { state: 0, want: "d" }, ours: { state: "down", wanted: "down" } },
  "about to start": { theirs: { state: 0, want: "u" }, ours: { state: "backoff", wanted: "up" } },
  finishing: { theirs: { state: 2, want: "d" }, ours: { state: "finishing", wanted: "down" } },
  "finishing before a start": {
    theirs: { state: 2, want: "u" },
    ours: { state: "finishing", wanted: "up" },
  },
} as const satisfies Record<string, Pair>;
export type StateName = keyof typeof STATES;
export const stateNames = Object.keys(STATES) as StateName[];

/** Since when it is so. */
const AGE_SECONDS = 5;

export type Directory = {
  /** null: nobody supervises it; undefined: nobody ever did. */
  readonly state?: StateName | null;
  readonly normallyDown?: boolean;
  readonly check?: string;
  readonly log?: Directory;
};

export type Answer = {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Each command that was sent, as a letter. */
  readonly sent: string;
};

const LETTERS: Readonly<Record<string, string>> = {
  alarm: "a",
  cont: "c",
  down: "d",
  hup: "h",
  int: "i",
  kill: "k",
  once: "o",
  pause: "p",
  quit: "q",
  restart: "tcu",
  term: "t",
  up: "u",
  usr1: "1",
  usr2: "2",
};

/** Both sides; each has its services in `DIR/theirs` and `DIR/ours`. */
export class Forgery {
  readonly theirs: string;
  readonly ours: string;
  readonly rundir: RunDir;
  private readonly sleeper: Bun.Subprocess;
  private readonly stopped: Bun.Subprocess;
  private readonly controls = new Map<string, number>();
  private readonly open: number[] = [];

  constructor(private readonly dir: string) {
    this.theirs = `${dir}/theirs`;
    this.ours = `${dir}/ours`;
    makeDirectory(this.theirs);
    makeDirectory(this.ours);
    const rundir = RunDir.make(`${this.ours}/.sysmgr`);
    if (typeof rundir === "number") throw new Error(`no RUNDIR: ${rundir}`);
    this.rundir = rundir;
    // Whoever asks whether a supervisor lives finds us.
    rundir.writeSupervisorPid();
    const sleep = () => Bun.spawn(["sleep", "3600"], { env: environment() });
    this.sleeper = sleep();
    this.stopped = sleep();
    this.stopped.kill("SIGSTOP");
    while (readStat(this.stopped.pid)?.state !== "T") Bun.sleepSync(1);
  }

  add(name: string, directory: Directory): this {
    this.addTheirs(`${this.theirs}/${name}`, name, directory);
    this.addOurs(`${this.ours}/${name}`, name, directory);
    return this;
  }

  /** Can it be sent commands? */
  isControlled(name: string): boolean {
    return this.controls.has(name);
  }

  /** Something that is no service, on both sides. */
  addBoth(make: (parent: string) => void): void {
    make(this.theirs);
    make(this.ours);
  }

  private addTheirs(path: string, name: string, directory: Directory): void {
    const { state, log } = directory;
    addFiles(path, directory);
    if (log) this.addTheirs(`${path}/log`, `${name}/log`, log);
    if (state === undefined) return;
    const own = `${path}/supervise`;
    makeDirectory(own);
    Bun.spawnSync(["mkfifo", `${own}/ok`, `${own}/control`]);
    if (state === null) return;
    const fifo = (file: string) =>
      openSync(`${own}/${file}`, constants.O_RDONLY | constants.O_NONBLOCK);
    this.open.push(fifo("ok"));
    this.controls.set(name, fifo("control"));
    writeFileSync(`${own}/status`, this.binaryStatus(state));
  }

  /** TAI64N label, pid (little endian), paused, want, got TERM, state. */
  private binaryStatus(name: StateName): Buffer {
    const { state, want, term }: Pair["theirs"] = STATES[name].theirs;
    const bytes = Buffer.alloc(20);
    bytes.writeBigUInt64BE(2n ** 62n + 10n + BigInt(Math.floor(Date.now() / 1000) - AGE_SECONDS));
    bytes.writeUInt32LE(state === 0 ? 0 : this.pid(name), 12);
    bytes.set([name === "paused" ? 1 : 0, want.charCodeAt(0), term ?? 0, state], 16);
    return bytes;
  }

  private addOurs(path: string, name: string, directory: Directory): void {
    addFiles(path, directory);
    const { state, log } = directory;
    if (state) this.setOurs(name, this.status(state));
    // There was somebody once.
    else if (state === null) makeDirectory(`${path}/supervise/.sysmgr`);
    if (log) this.addOurs(`${path}/log`, `${name}/log`, log);
  }

  setOurs(name: string, status: Status): void {
    this.rundir.makeService(name);
    this.rundir.writeStatus(name, status);
  }

  status(name: StateName): Status {
    const { state, wanted } = STATES[name].ours;
    const runs = state === "up" || state === "stopping";
    const started = Math.floor(ageOf(0) / 10) - AGE_SECONDS * 100;
    const process = { pid: this.pid(name), started };
    return {
      ...BLANK,
      state,
      wanted,
      process: runs ? process : null,
      finish: state === "finishing" ? process : null,
      since: Date.now() - AGE_SECONDS * 1000,
      runs: 1,
    };
  }

  private pid(name: StateName): number {
    return name === "paused" ? this.stopped.pid : this.sleeper.pid;
  }

  /** What the original says and does; `called` is a link to it, for init scripts. */
  async askTheirs(service: string, command: readonly string[]): Promise<Answer> {
    const [program = "", ...args] = command;
    const path = program.includes("/") ? program : `/usr/bin/${program}`;
    const ending = await run([path, ...args], this.theirs);
    const control = this.controls.get(service);
    return { ...ending, sent: control === undefined ? "" : drain(control) };
  }

  /** The same of ours; commands for these services are answered, and change nothing. */
  async askOurs(
    service: string,
    command: readonly string[],
    others: readonly string[] = [],
  ): Promise<Answer> {
    const [program = "", ...args] = command;
    const path = program.includes("/") ? program : `${BIN}/${program}`;
    let sent = "";
    const asked = new Set([service, ...args, ...others].filter((name) => this.controls.has(name)));
    const answer = () => {
      for (const name of asked) {
        for (const { command } of this.rundir.take(name, COMMANDS).orders) {
          if (name === service) sent += LETTERS[command];
          this.rundir.finish(name, command);
        }
      }
    };
    const timer = setInterval(answer, 3);
    const ending = await run([path, ...args], this.ours);
    clearInterval(timer);
    answer();
    return { ...ending, sent };
  }

  /** A link in init.d style, on both sides. */
  addScript(name: string): void {
    for (const [side, target] of [
      [this.theirs, "/usr/bin/sv"],
      [this.ours, `${BIN}/sv`],
    ] as const) {
      makeDirectory(`${side}/init.d`);
      symlinkSync(target, `${side}/init.d/${name}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.sleeper, this.stopped]) child.kill("SIGKILL");
    for (const fd of [...this.open, ...this.controls.values()]) closeSync(fd);
    await Promise.all([this.sleeper.exited, this.stopped.exited]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** TMPDIR tells whose a process is (scripts/leftovers.ts). */
function environment(): Record<string, string> {
  return { PATH: process.env.PATH ?? "/bin", TMPDIR: tmpdir() };
}

function addFiles(path: string, { normallyDown, check }: Directory): void {
  makeDirectory(path);
  if (normallyDown) writeFileSync(`${path}/down`, "");
  if (check !== undefined) writeFileSync(`${path}/check`, check, { mode: 0o755 });
}

async function run(command: string[], directory: string): Promise<Omit<Answer, "sent">> {
  const child = Bun.spawn(command, {
    cwd: directory,
    env: { ...environment(), SVDIR: directory },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: PATIENCE,
    killSignal: "SIGKILL",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out: masked(out, directory), err: masked(err, directory) };
}

/** What no two runs have in common. */
export function masked(text: string, directory: string): string {
  return text
    .replaceAll(directory, "DIR")
    .replace(/pid \d+/g, "pid N")
    .replace(/\b\d+( seconds|s\b)/g, "N$1");
}

/** What waits in a pipe. */
function drain(fd: number): string {
  const bytes = Buffer.alloc(256);
  try {
    return bytes.toString("latin1", 0, readSync(fd, bytes));
  } catch {
    return "";
  }
}

/** Runs tasks, so many at once. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  task: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [i, item] of queue) results[i] = await task(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
