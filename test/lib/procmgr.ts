/** A procmgr daemon of a sandbox, and its clients. */
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, renameSync } from "node:fs";
import { readStat } from "../../src/proc.ts";
import { exists, list, makeDirectory, read, write } from "./files.ts";
import { kill, lives } from "./processes.ts";
import { BIN, type Outcome, type Sandbox } from "./sandbox.ts";
import { scenario } from "./scenario.ts";
import { PATIENCE, until } from "./until.ts";

/** Runs what is appended as that user, with that group and perhaps others. */
export function as(uid: number, gid = uid, groups: readonly number[] = []): string[] {
  const more = groups.length > 0 ? `--groups=${groups.join(",")}` : "--clear-groups";
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, more];
}

let outputs = 0;

type RunOptions = { wrapper?: readonly string[]; input?: string | Uint8Array };
export type Started = { readonly process: Bun.Subprocess; readonly output: string };

export class Procmgr {
  readonly dir: string;
  readonly conf: string;
  readonly socket: string;
  /** A time to sleep that nobody else sleeps: so our scripts are found. */
  readonly forever = `${1_000_000 + process.pid}.${++outputs}`;
  private started: Started[] = [];

  constructor(readonly box: Sandbox) {
    this.dir = `${box.dir}/procmgr`;
    this.conf = `${this.dir}/procmgr.cfg`;
    this.socket = `${this.dir}/socket`;
    makeDirectory(this.dir);
  }

  get spool(): string {
    return `${this.socket}.spool`;
  }

  get state(): string {
    return `${this.socket}.state`;
  }

  /** The supervisor's pid. */
  get supervisor(): number {
    return Number(read(`${this.state}/run/pid`));
  }

  /** Writes the configuration; what comes before the first section is a line of its own. */
  configure(text: string): void {
    write(this.conf, `socket-path = ${this.socket}\n${text}`);
  }

  get environment(): Record<string, string> {
    return { ...this.box.environment, PROCMGR_CONFFILE: this.conf };
  }

  /** A daemon in the foreground, once it works. */
  async start(text?: string, args: string[] = [], wrapper: string[] = []): Promise<Started> {
    if (text !== undefined) this.configure(text);
    const before = read(this.socket);
    const output = `${this.dir}/output.${++outputs}`;
    const fd = openSync(output, "a");
    const child = Bun.spawn([...wrapper, `${BIN}/procmgr`, "-d", "-f", "-L", "DEBUG", ...args], {
      env: this.environment,
      cwd: "/",
      stdio: ["ignore", fd, fd],
    });
    closeSync(fd);
    const started = { process: child, output };
    this.started.push(started);
    await until(() => {
      if (child.exitCode !== null) throw new Error(`the daemon ended: ${read(output)}`);
      const text = read(this.socket);
      return text !== null && text !== before && this.supervisor > 0;
    }, "the daemon works");
    await until(() => exists(`${this.state}/run/.control`), "its supervisor works");
    return started;
  }

  get messages(): string {
    return this.started.map(({ output }) => read(output)).join("");
  }

  async says(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.messages), `the daemon says ${pattern}`);
  }

  /** A client, to its end; into files, as what it starts keeps its streams. */
  async run(args: readonly string[], { wrapper = [], input }: RunOptions = {}): Promise<Outcome> {
    const files = ["out", "err"].map((kind) => `${this.dir}/${kind}.${++outputs}`);
    const fds = files.map((file) => openSync(file, "a"));
    const [outFd = 1, errFd = 2] = fds;
    const stdin = input === undefined ? "ignore" : Buffer.from(input as string, "latin1");
    const child = Bun.spawn([...wrapper, `${BIN}/procmgr`, ...args], {
      env: this.environment,
      cwd: "/",
      stdin,
      stdout: outFd,
      stderr: errFd,
      timeout: PATIENCE,
      killSignal: "SIGKILL",
    });
    for (const fd of fds) closeSync(fd);
    const code = await child.exited;
    const [out = "", err = ""] = files.map((file) => read(file) ?? "");
    return { code, out, err };
  }

  /** A client that may take long. */
  begin(
    args: readonly string[],
    wrapper: readonly string[] = [],
  ): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    return Bun.spawn([...wrapper, `${BIN}/procmgr`, ...args], {
      env: this.environment,
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** The process of a program's service; null: none. */
  pid(service: string): number | null {
    const text = read(`${this.state}/run/${service}/pid`);
    return text === null ? null : Number(text);
  }

  async runs(service: string): Promise<number> {
    return await until(() => this.pid(service), `${service} runs`);
  }

  /** The scripts and programs that sleep for ever. */
  get sleeping(): number[] {
    const pids = list("/proc")
      .map(Number)
      .filter((pid) => pid > 1);
    return pids.filter((pid) => read(`/proc/${pid}/cmdline`) === `sleep\0${this.forever}\0`);
  }

  async sleeps(count = 1): Promise<number> {
    const pids = await until(
      () => this.sleeping.length === count && this.sleeping,
      "scripts sleep",
    );
    return pids[0] ?? 0;
  }

  killSleeping(): void {
    for (const pid of this.sleeping) kill(pid, "SIGKILL");
  }

  /** Puts a directory of anybody's into the spool. */
  forge(options: {
    text?: string;
    uid?: number;
    gid?: number;
    mode?: number;
    fill?: (dir: string) => void;
  }): Forged {
    const { text, uid = 0, gid = uid, mode = 0o700, fill } = options;
    const name = `forged.${++outputs}`;
    const staged = `${this.dir}/${name}`;
    mkdirSync(staged);
    if (text !== undefined) {
      write(`${staged}/request`, text, 0o600);
      chownSync(`${staged}/request`, uid, gid);
    }
    fill?.(staged);
    chownSync(staged, uid, gid);
    chmodSync(staged, mode);
    const path = `${this.spool}/${name}`;
    renameSync(staged, path);
    return new Forged(path);
  }

  /** Stops every daemon, and what is left of programs if one could not. */
  async end(): Promise<void> {
    const alive = () =>
      this.started.filter(({ process }) => process.exitCode === null && !process.signalCode);
    for (const { process } of alive()) process.kill("SIGTERM");
    await until(() => alive().length === 0, "the daemons have ended").catch(() => {});
    const left = list(`${this.state}/run`).map((service) => this.pid(service));
    for (const { process } of alive()) kill(process.pid, "SIGKILL");
    if (this.supervisor > 0) kill(this.supervisor, "SIGKILL");
    for (const pid of left) if (pid) kill(pid, "SIGKILL");
    this.killSleeping();
  }
}

/** A request that no client of ours made. */
export class Forged {
  constructor(readonly path: string) {}

  /** What it is answered; "gone" when it was removed without. */
  async outcome(): Promise<string> {
    return await until(() => {
      const answer = read(`${this.path}/answer`);
      return answer ?? (exists(this.path) ? "" : "gone");
    }, `${this.path} is answered`);
  }
}

/** The text of a request, as a client writes it. */
export function requestText(
  pid: number,
  program: string,
  action: string,
  ...args: string[]
): string {
  const lines = [
    `pid=${pid}`,
    `start=${readStat(pid)?.started}`,
    `program=${program}`,
    `action=${action}`,
  ];
  return [...lines, ...args.map((arg) => `arg=${arg}`), ""].join("\n");
}

/** A process of a user that does nothing, for requests to name, once it is that user's. */
export async function sleeper(p: Procmgr, uid: number, gid = uid): Promise<Bun.Subprocess> {
  const child = Bun.spawn([...as(uid, gid), "sleep", p.forever], {
    env: p.environment,
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until(() => p.sleeping.includes(child.pid), "it sleeps");
  return child;
}

export async function ended(pid: number): Promise<void> {
  await until(() => !lives(pid), `${pid} has ended`);
}

/** A test with a daemon, which is stopped in the end; it must have met no error of its own. */
export function scene(name: string, body: (p: Procmgr) => Promise<void>, needs = true): void {
  scenario(
    name,
    async (box) => {
      const p = new Procmgr(box);
      try {
        await body(p);
        if (/internal error/.test(p.messages)) throw new Error("internal error");
      } catch (error) {
        console.error(p.messages.split("\n").slice(-40).join("\n"));
        throw error;
      } finally {
        await p.end();
      }
    },
    needs,
  );
}
