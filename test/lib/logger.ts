/** Loggers in tests: run to their end, beside the originals, and what they leave in directories. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename } from "../../src/bytes.ts";
import { exists, raw } from "./files.ts";
import { BIN } from "./sandbox.ts";

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

/** Runs it to the end of the input; all texts are bytes. */
export async function run(command: readonly string[], options: RunOptions): Promise<Ending> {
  const child = Bun.spawn([...command], {
    argv0: basename(command[0] ?? ""),
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? "/bin", ...options.env },
    stdio: [raw(options.input ?? ""), "pipe", "pipe"],
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const bytes = async (stream: ReadableStream) =>
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
  return readdirSync(directory)
    .sort()
    .map((name) => ({
      name: masked(name),
      mode: (statSync(`${directory}/${name}`).mode & 0o777).toString(8),
      text: masked(readFileSync(`${directory}/${name}`, "latin1")),
    }));
}

/** All that a log holds, in order. */
export function logText(directory: string): string {
  return logFiles(directory)
    .filter(({ name }) => name.startsWith("@") || name === "current")
    .map(({ text }) => text)
    .join("");
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
