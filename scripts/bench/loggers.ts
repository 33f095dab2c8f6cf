/**
 * usage: scripts/bun.sh scripts/bench/loggers.ts [LINES]
 *
 * Lines per second of our loggers beside the originals, where those are installed: the median of
 * five runs, ours and theirs by turns, of LINES (1,000,000) lines of 100 bytes through a pipe into
 * logs on a tmpfs. Prints a table.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alignRows } from "./rows.ts";

const ROUNDS = 5;
const LENGTH = 100;
const OURS = join(import.meta.dir, "../../build/bin");
const THEIRS = "/usr/bin";

type Case = { program: string; args: string[]; config?: string; labelled?: boolean };

const PATTERNS = ["-*", "+*failed*", "+GET /a*", "-*: debug: *", "+x*"];

const cases: Case[] = [
  { program: "multilog", args: ["t", "./log"] },
  { program: "multilog", args: ["./log"] },
  { program: "multilog", args: [...PATTERNS, "./log"] },
  { program: "multilog", args: ["t", "-*", "+* fatal: *", "+* x*", "./log"] },
  { program: "svlogd", args: ["-tt", "log"] },
  { program: "svlogd", args: ["log"] },
  { program: "svlogd", args: ["-tt", "log"], config: `${PATTERNS.join("\n")}\n` },
  { program: "tai64n", args: [] },
  { program: "tai64nlocal", args: [], labelled: true },
];

const lines = Number(process.argv[2] ?? 1_000_000);
const scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "sysmgr-bench."));

/** Seconds from the start of a program to its end. */
function seconds(path: string, { args, config }: Case, input: string): number {
  const cwd = join(scratch, "work");
  mkdirSync(join(cwd, "log"), { recursive: true });
  if (config !== undefined) writeFileSync(join(cwd, "log/config"), config);
  const began = performance.now();
  const { exitCode } = Bun.spawnSync(["sh", "-c", `cat "$0" | "$@"`, input, path, ...args], {
    cwd,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const took = (performance.now() - began) / 1000;
  rmSync(cwd, { recursive: true });
  if (exitCode !== 0) throw new Error(`${path} exited with ${exitCode}`);
  return took;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function perSecond(times: number[]): string {
  return times.length === 0 ? "-" : Math.round(lines / median(times)).toLocaleString("en-US");
}

function measure(each: Case, input: string): string[] {
  const [ours, theirs] = [`${OURS}/${each.program}`, `${THEIRS}/${each.program}`];
  const times: [ours: number[], theirs: number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    times[0].push(seconds(ours, each, input));
    if (existsSync(theirs)) times[1].push(seconds(theirs, each, input));
  }
  const ratio = times[1].length > 0 ? (median(times[1]) / median(times[0])).toFixed(1) : "-";
  const config =
    each.config === undefined ? "" : ` (config: ${each.config.trim().split("\n").length} patterns)`;
  const name = `${[each.program, ...each.args].join(" ")}${config}`;
  return [name, perSecond(times[0]), perSecond(times[1]), ratio];
}

try {
  const plain = join(scratch, "plain");
  const labelled = join(scratch, "labelled");
  writeFileSync(plain, `${"x".repeat(LENGTH - 1)}\n`.repeat(lines));
  Bun.spawnSync([`${OURS}/tai64n`], { stdio: [Bun.file(plain), Bun.file(labelled), "inherit"] });
  const head = [
    `lines per second, ${lines.toLocaleString("en-US")} of ${LENGTH} bytes`,
    "ours",
    "theirs",
    "times",
  ];
  const rows = cases.map((each) => measure(each, each.labelled ? labelled : plain));
  console.log(alignRows([head, ...rows]));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
