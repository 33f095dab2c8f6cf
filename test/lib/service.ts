/** One service of a sandbox, as a test sees it: its script, what it did, what sysmgr says of it. */
import { dirname } from "../../src/bytes.ts";
import {
  append,
  exists,
  list,
  makeDirectory,
  place,
  read,
  remove,
  rename,
  touch,
} from "./files.ts";
import { until } from "./until.ts";

/** Where it lives: paths as they are to be opened from here. */
export type Places = { readonly sysdir: string; readonly rundir: string };

/** Stays until it is stopped. */
export const STAY = "exec sleep 3600";

/** Traces each of these signals, and stays. */
export function trapping(...signals: string[]): string {
  const traps = signals.map((s) => `trap 'trace ${s}' ${s}`);
  return `${traps.join("\n")}\ntrace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;
}

/** Takes so many seconds to end after TERM, so that one can do something meanwhile. */
export function lingering(seconds: number): string {
  return endingAfter(`sleep ${seconds}`);
}

/** The same, but it ends when the gate is there: after whatever is to come before its end. */
export function lingeringUntil(gate: string): string {
  return endingAfter(`while [ ! -e ${gate} ]; do sleep 0.1; done`);
}

function endingAfter(command: string): string {
  return `trap 'trace term; ${command}; trace gone; exit 0' TERM
trace ready
while :; do sleep 3600 & wait $!; done`;
}

export class Service {
  constructor(
    /** A byte string. */
    readonly name: string,
    private readonly places: Places,
    /** The file that it writes a line to, for whatever it does. */
    readonly traceFile: string,
  ) {}

  // ------------------------------------------------------------- in SYSDIR

  get entry(): string {
    return `${this.places.sysdir}/${this.name}`;
  }

  /** A script that traces `start PID`, then does what the body says; `trace WORD` is at hand. */
  script(body = STAY): string {
    return `#!/bin/sh
trace() { echo "$*" >>'${this.traceFile}'; }
trace start $$
${body}
`;
  }

  /** Puts it into SYSDIR in one step. */
  install(body?: string, mode = 0o755): this {
    place(this.entry, this.script(body), mode);
    return this;
  }

  /** The same as a directory with an executable `run`, and with other programs and files. */
  installDirectory(
    body?: string,
    programs: Readonly<Record<string, string>> = {},
    files: Readonly<Record<string, string>> = {},
  ): this {
    const helper = (script: string) => this.script(script).replace(/^trace start .*\n/m, "");
    return this.installFiles([
      ["run", this.script(body), 0o755],
      ...Object.entries(programs).map(([file, s]) => [file, helper(s), 0o755] as const),
      ...Object.entries(files).map(([file, text]) => [file, text, 0o644] as const),
    ]);
  }

  /** The same with a logger, which is a service of its own. */
  installLogged(
    body: string,
    logger: Service,
    logBody: string,
    programs: Readonly<Record<string, string>> = {},
  ): this {
    return this.installFiles([
      ["run", this.script(body), 0o755],
      ["log/run", logger.script(logBody), 0o755],
      ...Object.entries(programs).map(([file, s]) => [file, this.script(s), 0o755] as const),
    ]);
  }

  private installFiles(files: (readonly [path: string, text: string, mode: number])[]): this {
    const staged = `${this.places.sysdir}/.staged`;
    for (const [path, text, mode] of files) {
      makeDirectory(dirname(`${staged}/${path}`));
      place(`${staged}/${path}`, text, mode);
    }
    rename(staged, this.entry);
    return this;
  }

  uninstall(): void {
    remove(this.entry);
  }

  // -------------------------------------------------------------- its trace

  get lines(): string[] {
    return (read(this.traceFile) ?? "").split("\n").slice(0, -1);
  }

  count(line: string): number {
    return this.lines.filter((l) => l === line).length;
  }

  /** The pid of each of its lives. */
  get starts(): number[] {
    return this.lines.filter((l) => l.startsWith("start ")).map((l) => Number(l.slice(6)));
  }

  /** Waits until it has traced this line so many times. */
  async traced(line: string, times = 1): Promise<void> {
    await until(() => this.count(line) >= times, `${this.name} traces ${line}, ${times} times`);
  }

  // -------------------------------------------------------------- in RUNDIR

  get directory(): string {
    return `${this.places.rundir}/${this.name}`;
  }

  /** A path in RUNDIR/NAME. */
  file(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** The status file; every key is absent when there is none. */
  get status(): Readonly<Record<string, string | undefined>> {
    const lines = (read(this.file("status")) ?? "").split("\n").filter((l) => l !== "");
    return Object.fromEntries(lines.map((l) => l.split(/=(.*)/s).slice(0, 2)));
  }

  get pid(): number | null {
    const text = read(this.file("pid"));
    return text === null ? null : Number(text);
  }

  /** Waits until it runs, its script has begun, and both files agree; resolves to its pid. */
  async running(): Promise<number> {
    return await until(() => {
      const { state, pid } = this.status;
      const runs = state === "starting" || state === "up";
      return runs && Number(pid) === this.pid && this.starts.at(-1) === this.pid && this.pid;
    }, `${this.name} runs`);
  }

  /** The same, in a life after that of this pid. */
  async runningAfter(pid: number): Promise<number> {
    await until(() => this.pid !== pid, `pid ${pid} of ${this.name} is over`);
    return await this.running();
  }

  /** Waits until it is in that state. */
  async is(state: string): Promise<void> {
    await until(() => this.status.state === state, `${this.name} is ${state}`);
  }

  /** Waits until this life is so old, by sysmgr's clock, too. */
  async aged(ms: number): Promise<number> {
    const pid = await this.running();
    const seen = performance.now();
    await until(() => performance.now() > seen + ms, `${this.name} runs for ${ms} ms`);
    return pid;
  }

  /** Makes or removes the stop marker. */
  mark(content = ""): void {
    if (content === "") touch(this.file("lock"));
    else place(this.file("lock"), `${content}\n`);
  }

  unmark(): void {
    remove(this.file("lock"));
  }

  /** Puts a command into the drop box and waits until it was answered. */
  async command(name: string, content = ""): Promise<void> {
    const path = this.file(`control/${name}`);
    append(path, content);
    await this.answered(name);
  }

  async answered(name: string): Promise<void> {
    const pending = [name, `.${name}`].map((file) => this.file(`control/${file}`));
    await until(() => !pending.some(exists), `${this.name} answers ${name}`);
  }

  /** What is in its drop box. */
  get box(): string[] {
    return list(this.file("control"));
  }
}
