/** Loggers in tests: run to their end, beside the originals, and what they leave in directories. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "../../src/bytes.ts";
import { exists, raw, read } from "./files.ts";
import { BIN } from "./sandbox.ts";
import { PATIENCE, until } from "./until.ts";

export type Ending = { readonly code: number; readonly out: string; readonly err: string };

export type RunOptions = {
  readonly input?: string;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Ours and theirs, where Debian has put them; null where they are not installed. */
export function programs(name: string): { ours: string; theirs: string | null } {
  const theirs = `/usr/bin/${name}`;
  return { ours: `${BIN}/${name}`, theirs: exists(theirs) ? theirs : null };
}

/** TMPDIR tells whose a process is (scripts/leftovers.ts). */
function environment(): Record<string, string> {
  return { PATH: process.env.PATH ?? "/bin", TMPDIR: tmpdir() };
}

/** Runs it to the end of the input; all texts are bytes. */
export async function run(command: readonly string[], options: RunOptions): Promise<Ending> {
  const child = Bun.spawn([...command], {
    argv0: basename(command[0] ?? ""),
    cwd: options.cwd,
    env: { ...environment(), ...options.env },
    stdio: [raw(options.input ?? ""), "pipe", "pipe"],
    timeout: PATIENCE,
    killSignal: "SIGKILL",
  });
  const bytes = async (stream: ReadableStream<Uint8Array>) =>
    Buffer.from(await new Response(stream).arrayBuffer()).toString("latin1");
  const [out, err] = await Promise.all([bytes(child.stdout), bytes(child.stderr)]);
  return { code: await child.exited, out, err };
}

/** Timestamps of all kinds as words: two runs cannot have the same ones. */
export function masked(text: string): string {
  return text
    .replace(/@4[0-9a-f]{23}/g, "@LABEL")
    .replace(/\d{4}-\d\d-\d\d([_T])\d\d:\d\d:\d\d\.\d{5}/g, "DATE$1TIME");
}

export type LogFile = {
  readonly name: string;
  readonly mode: string;
  readonly text: string;
};

/** The files of a log directory: the old ones from the oldest on, then the others. */
export function logFiles(directory: string): LogFile[] {
  const files = filesAsTheyAre(directory);
  return files.map((f) => ({ ...f, name: masked(f.name), text: masked(f.text) }));
}

function filesAsTheyAre(directory: string): LogFile[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const path = `${directory}/${name}`;
      const mode = statSync(path, { throwIfNoEntry: false })?.mode;
      const text = read(path);
      // Renamed at this very moment.
      if (mode === undefined || text === null) return [];
      return [{ name, mode: (mode & 0o777).toString(8), text }];
    });
}

/** All that a log holds, in order; a timestamp may begin in one file and end in the next. */
export function logText(directory: string): string {
  const files = filesAsTheyAre(directory);
  const logs = files.filter(({ name }) => name.startsWith("@") || name === "current");
  return masked(logs.map(({ text }) => text).join(""));
}

/** What people feed to loggers, and what they should not. */
export const inputs: Readonly<Record<string, string>> = {
  nothing: "",
  "an empty line": "\n",
  lines: "one\ntwo\nnamed[135]: Cleaned cache of 3121 RRs\nfatal: out of memory\n",
  "no final newline": "one\ntwo",
  "empty lines": "\n\none\n\n\n",
  "NUL bytes": "a\0b\n\0\n\0\0",
  "invalid UTF-8": "\xff\xfe\x80 \xc3\n\xe9t\xe9\n\x7f\x1b[0m\t\n",
  "lines of every length around the limits": [
    198, 199, 200, 201, 973, 974, 975, 999, 1000, 1001, 1025,
  ]
    .map((n) => `${"x".repeat(n)}\n`)
    .join(""),
  "long lines": `${"long ".repeat(1000)}\nshort\n${"longer ".repeat(20_000)}\n`,
  "a long line without an end": "y".repeat(5_000),
  "many lines": Array.from({ length: 3_000 }, (_, i) => `line ${i} of many\n`).join(""),
};

/** A logger that runs, with a pipe to it. */
export class Logger {
  private readonly child: Bun.Subprocess<"pipe", "ignore", number>;
  private readonly errors: string;

  /** In the directory `cwd`; its standard error is a file there. */
  constructor(
    command: readonly string[],
    readonly cwd: string,
  ) {
    this.errors = `${cwd}/stderr`;
    const fd = openSync(this.errors, "a");
    this.child = Bun.spawn([...command], {
      cwd,
      env: environment(),
      stdio: ["pipe", "ignore", fd],
    });
    closeSync(fd);
  }

  get pid(): number {
    return this.child.pid;
  }

  get messages(): string {
    return readFileSync(this.errors, "latin1");
  }

  write(text: string): void {
    this.child.stdin.write(raw(text));
    this.child.stdin.flush();
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Its exit code, or the signal that ended it, once its input has ended or it does so by itself. */
  async end(close = true): Promise<number | string> {
    if (close) await this.child.stdin.end();
    await this.child.exited;
    return this.child.signalCode ?? this.child.exitCode ?? "";
  }

  /** Waits until a file of a log holds a text. */
  async logged(text: string, file = "log/current"): Promise<void> {
    const path = `${this.cwd}/${file}`;
    await until(() => (read(path) ?? "").includes(text), `${text} in ${file}`);
  }

  /** Signals that come to any of its threads are read from a descriptor: all hold them back. */
  holdsBack(signal: number): boolean {
    const tasks = readdirSync(`/proc/${this.pid}/task`);
    return tasks.every((task) => {
      const status = read(`/proc/${this.pid}/task/${task}/status`) ?? "SigBlk:\tffffffffffffffff";
      const mask = BigInt(`0x${status.match(/SigBlk:\s*(\w+)/)?.[1]}`);
      return ((mask >> BigInt(signal - 1)) & 1n) === 1n;
    });
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
  }
}

let directories = 0;

/** A directory of its own for a logger, with that config if there is one. */
export function workplace(parent: string, config?: string): string {
  const cwd = `${parent}/work${directories++}`;
  mkdirSync(`${cwd}/log`, { recursive: true });
  if (config !== undefined) writeFileSync(`${cwd}/log/config`, raw(config));
  return cwd;
}

/** Lines that all differ. */
export function numbered(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join("");
}
