/** Programs that become others: ours beside the originals, and what they made of the process. */
import { expect, test } from "bun:test";
import { chmodSync, closeSync, constants, mkdirSync, openSync, symlinkSync } from "node:fs";
import { isRoot, scratchDirectory } from "../unit/scratch.ts";
import { AS_NOBODY } from "./clients.ts";
import { write } from "./files.ts";
import { type Ending, programs } from "./logger.ts";
import { BIN } from "./sandbox.ts";
import { PATIENCE } from "./until.ts";

/** Prints what a process is, and executes nothing more, so that it works within any limits. */
export const SHOW = [
  "/bin/cat",
  "/proc/self/status",
  "/proc/self/limits",
  "/proc/self/stat",
  "/proc/self/cmdline",
  "/proc/self/environ",
];

/** Prints its descriptors. */
export const FILES = ["/bin/ls", "-l", "/proc/self/fd"];

/**
 * The fields of status that two runs cannot have in common. The size of a table says nothing; what
 * is ignored the originals leave so, and it depends on who runs the tests.
 */
const VARIABLE =
  /^(SigIgn|Tgid|Pid|PPid|NStgid|NSpid|NSpgid|NSsid|FDSize|SigQ|Vm\w+|Rss\w+|\w*ctxt_switches):.*\n/gm;

/** What is left of the output of SHOW or FILES when all that must differ is taken out. */
export function masked(text: string): string {
  return text
    .replace(VARIABLE, "")
    .replace(/^(\d+) (\(cat\) .*)$/gm, (_, pid: string, rest: string) => {
      const [comm, state, , group, session, terminal, , flags, ...more] = rest.split(" ");
      const own = (id = "") => (id === pid ? "own" : "inherited");
      // From the tenth field on: priority, nice and threads; real-time priority and policy.
      const kept = [...more.slice(8, 11), ...more.slice(30, 32)];
      return [comm, state, own(group), own(session), terminal, flags, ...kept].join(" ");
    })
    .replace(/^l\S+ .* (\d+) -> (\S+).*$/gm, (_, fd: string, to: string) => {
      return `${fd} -> ${to.replace(/\d{3,}/, "N").replace(/^.*\/(ours|theirs)\//, "")}`;
    })
    .replaceAll("total 0\n", "");
}

export type Run = {
  readonly args: readonly string[];
  readonly user?: "root" | "nobody";
  readonly env?: Readonly<Record<string, string>>;
  /** Run by this, in place of directly. */
  readonly wrapper?: readonly string[];
};

/** A directory for each of the two with the same in it. */
export class Workplaces {
  private readonly dir = scratchDirectory();
  readonly ours = `${this.dir}/ours`;
  readonly theirs = `${this.dir}/theirs`;

  constructor(fill: (directory: string) => void = () => {}) {
    for (const directory of [this.ours, this.theirs]) {
      mkdirSync(directory);
      chmodSync(directory, 0o777);
      fill(directory);
    }
  }
}

/** Runs a program in a directory, with nothing open but its three streams; all texts are bytes. */
export async function runIn(cwd: string, program: string, run: Run): Promise<Ending> {
  const lower = run.user === "nobody" && isRoot ? AS_NOBODY : [];
  const input = openSync("/dev/null", constants.O_RDONLY);
  const child = Bun.spawn([...lower, ...(run.wrapper ?? []), program, ...run.args], {
    cwd,
    env: { PATH: "/usr/bin:/bin", LAST: "1", ...run.env },
    stdio: [input, "pipe", "pipe"],
    timeout: PATIENCE,
    killSignal: "SIGKILL",
  });
  closeSync(input);
  const bytes = async (stream: ReadableStream<Uint8Array>) =>
    Buffer.from(await new Response(stream).arrayBuffer()).toString("latin1");
  const [out, err] = await Promise.all([bytes(child.stdout), bytes(child.stderr)]);
  await child.exited;
  return { code: child.signalCode ? -1 : (child.exitCode ?? -1), out, err };
}

/** For each row: ours does the same as the original, and says the same. */
export function sameAs(
  name: string,
  places: Workplaces,
  rows: readonly Run[],
  directory = "/usr/bin",
): void {
  const theirs = `${directory}/${name}`;
  const { ours } = programs(name);
  const known = new Set<string>();
  for (const row of rows) {
    const title = `${name} ${row.args.join(" ")}${row.user === "nobody" ? " (nobody)" : ""}`
      .replaceAll(SHOW.join(" "), "SHOW")
      .replaceAll(FILES.join(" "), "FILES");
    if (known.has(title)) continue;
    known.add(title);
    const missing = programs(name).theirs === null || (row.user === "root" && !isRoot);
    test.skipIf(missing)(title, async () => {
      const [a, b] = await Promise.all([
        runIn(places.ours, ours, row),
        runIn(places.theirs, theirs, row),
      ]);
      expect({ ...a, out: masked(a.out) }).toEqual({ ...b, out: masked(b.out) });
    });
  }
}

/** Options of chpst, one of each kind. */
export const KINDS: readonly (readonly string[])[] = [
  ["-u", "nobody"],
  ["-u", ":1:2:3"],
  ["-U", "daemon"],
  ["-b", "zero"],
  ["-e", "env"],
  ["-/", "/"],
  ["-n", "5"],
  ["-l", "lock"],
  ["-m", "180000000"],
  ["-d", "150000000"],
  ["-o", "64"],
  ["-p", "5000"],
  ["-f", "100000000"],
  ["-c", "0"],
  ["-r", "77777777"],
  ["-t", "100"],
  ["-vP"],
  ["-0"],
];

/** Every two of these, one after the other. */
export function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b): [T, T] => [a, b]));
}

/** Environment directories, right and wrong. */
export function fillEnvironments(directory: string): void {
  const files: Record<string, string> = {
    "env/ONE": "1",
    "env/BLANKS": "two words \t \t\nsecond line\n",
    "env/EMPTY_LINE": "\nx",
    "env/NUL": "a\0b\0",
    "env/BYTES": "\xff\xfe\xe9",
    "env/PATH": "/nowhere",
    "env/LAST": "",
    "env/NOT_SET": "",
    "env/.hidden": "x",
    "env/A=B": "c",
    "env/=x": "y",
    "env/na\xefve": "v",
    "env/LONG": "x".repeat(10_000),
    "directory/file/below": "x",
    file: "x",
  };
  for (const parent of ["env", "directory/file", "empty", "loop", "dangling", "private"]) {
    mkdirSync(`${directory}/${parent}`, { recursive: true });
  }
  for (const [name, text] of Object.entries(files)) write(`${directory}/${name}`, text);
  symlinkSync("X", `${directory}/loop/X`);
  symlinkSync("nowhere", `${directory}/dangling/LAST`);
  chmodSync(`${directory}/private`, 0o700);
}

/** One of our programs by its path. */
export const ours = (name: string) => `${BIN}/${name}`;
