/** A pmtr with its configuration file in a sandbox. */
import { expect } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { encodeName } from "../../src/compat/pmtr/names.ts";
import { exists, list, makeDirectory, place, read, write } from "./files.ts";
import { kill, lives } from "./processes.ts";
import { BIN, type Outcome, type Sandbox } from "./sandbox.ts";
import { scenario as play, patientScenario as playPatiently } from "./scenario.ts";
import { Service } from "./service.ts";
import { until } from "./until.ts";

export type PmtrOptions = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly wrapper?: readonly string[];
  readonly program?: string;
  readonly stdin?: string;
};

export class PmtrBox {
  readonly conf: string;
  private outputs = 0;
  private running: Pmtr | null = null;

  constructor(readonly box: Sandbox) {
    this.conf = `${box.dir}/pmtr.conf`;
    makeDirectory(`${box.dir}/work`);
  }

  get environment(): Record<string, string> {
    // A container has no system log: messages go to standard error.
    return { ...this.box.environment, PMTR_RUNDIR: `${this.box.dir}/pmtr`, container: "test" };
  }

  /** Where pmtr keeps what it knows. */
  get place(): string {
    return `${this.box.dir}/pmtr/${encodeName(this.conf)}`;
  }

  /** Saves the configuration as an editor does, by rename. */
  edit(...jobs: string[]): void {
    place(this.conf, jobs.join("\n"));
  }

  /** A file that can be run, from a body in sh; its path. */
  script(name: string, body: string): string {
    const path = `${this.box.dir}/${name}`;
    write(path, `#!/bin/sh\n${body}\n`, 0o755);
    return path;
  }

  /** pmtr in the foreground, once it works. */
  async start(options: PmtrOptions = {}): Promise<Pmtr> {
    // The pid of who works there: a killed one leaves its own.
    const lock = `${this.place}/lock`;
    const before = read(lock);
    const output = `${this.box.dir}/pmtr.output.${++this.outputs}`;
    const fd = openSync(output, "a");
    const program = options.program ?? `${BIN}/pmtr`;
    const stdin = options.stdin === undefined ? "ignore" : Bun.file(options.stdin);
    const child = Bun.spawn(
      [...(options.wrapper ?? []), program, "-F", "-c", this.conf, ...(options.args ?? [])],
      {
        env: { ...this.environment, ...options.env },
        cwd: options.cwd ?? `${this.box.dir}/work`,
        stdio: [stdin, fd, fd],
      },
    );
    closeSync(fd);
    this.running = new Pmtr(child, output);
    await until(() => {
      if (child.exitCode !== null) throw new Error(`pmtr exited: ${read(output)}`);
      return read(lock) !== before && exists(`${this.place}/run/.control`);
    }, "pmtr works");
    return this.running;
  }

  /** Runs it to its end. */
  run(args: readonly string[], options: PmtrOptions = {}): Promise<Outcome> {
    const { env, ...rest } = options;
    return this.box.run(["pmtr", ...args], { ...rest, env: { ...this.environment, ...env } });
  }

  /** A job as sysmgr sees it. */
  job(name: string): Service {
    const places = { sysdir: `${this.place}/jobs`, rundir: `${this.place}/run` };
    return new Service(encodeName(name), places, `${this.box.dir}/trace.${encodeName(name)}`);
  }

  /** The pid of a job that runs, by its status and by the kernel. */
  pid(name: string): number | null {
    const { pid } = this.job(name).status;
    return pid !== undefined && lives(Number(pid)) ? Number(pid) : null;
  }

  async runs(name: string, otherThan: number | null = null): Promise<number> {
    return await until(() => {
      const pid = this.pid(name);
      return pid !== otherThan && pid;
    }, `job ${name} runs`);
  }

  async ended(name: string): Promise<void> {
    await until(() => this.pid(name) === null, `job ${name} does not run`);
  }

  get scannerPid(): number {
    return Number(read(`${this.place}/run/pid`) ?? 0);
  }

  /** Waits until the scanner has looked at everything. */
  async settled(): Promise<void> {
    const box = `${this.place}/run/.control`;
    write(`${box}/scan`, "");
    await until(() => !list(box).some((f) => f.endsWith("scan")), "the scanner answers");
  }

  /** Stops what runs; whatever happened, it leaves nothing and had no trouble of its own. */
  async finish(): Promise<void> {
    if (!this.running) return;
    if (this.running.process.exitCode === null) expect(await this.running.stop()).toBe(0);
    expect(list(`${this.box.dir}/pmtr`)).toEqual([]);
    expect(this.running.messages).not.toContain("internal error");
  }

  describe(): string {
    return this.running?.messages.split("\n").slice(-40).join("\n") ?? "";
  }
}

/** A pmtr that was started. */
export class Pmtr {
  constructor(
    readonly process: Bun.Subprocess,
    private readonly output: string,
  ) {}

  get pid(): number {
    return this.process.pid;
  }

  get messages(): string {
    return read(this.output) ?? "";
  }

  async says(pattern: RegExp, times = 1): Promise<void> {
    const lines = () => this.messages.split("\n").filter((line) => pattern.test(line));
    await until(() => lines().length >= times, `pmtr says ${pattern}`);
  }

  signal(name: NodeJS.Signals): void {
    kill(this.pid, name);
  }

  async exited(): Promise<number> {
    await until(() => this.process.exitCode !== null || this.process.signalCode, "pmtr exits");
    return await this.process.exited;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.signal(signal);
    return await this.exited();
  }
}

/** A job of a configuration: its name, and lines of which the first may be its cmd alone. */
export function job(name: string, ...lines: string[]): string {
  return ["job {", `  name ${name}`, ...lines.map((l) => `  ${l}`), "}", ""].join("\n");
}

export const STAYS = "cmd /bin/sleep 3600";

type Body = (p: PmtrBox) => Promise<void>;

async function playWith(box: Sandbox, body: Body): Promise<void> {
  const p = new PmtrBox(box);
  try {
    await body(p);
  } catch (error) {
    console.error(p.describe());
    throw error;
  }
  await p.finish();
}

/** A socket on 127.0.0.1, and the last datagram that it got. */
export async function receiver(address = "127.0.0.1"): Promise<Receiver> {
  const texts: string[] = [];
  const data = (_: unknown, bytes: Buffer) => void texts.push(bytes.toString("latin1"));
  return { texts, socket: await Bun.udpSocket({ hostname: address, socket: { data } }) };
}

export type Receiver = {
  readonly texts: readonly string[];
  readonly socket: Bun.udp.Socket<"buffer">;
};

/** A test with a pmtr of its own. */
export function scenario(name: string, body: Body, needs = true): void {
  play(name, (box) => playWith(box, body), needs);
}

/** The same for those that mostly wait: neighbours run at the same time. */
export function patientScenario(name: string, body: Body, needs = true): void {
  playPatiently(name, (box) => playWith(box, body), needs);
}
