/**
 * usage: test.ts [--repeat N] [--minutes N] [FILTER...]
 *
 * Runs the lint steps, and N times every test file below test/: those whose name contains one of
 * the filters, or all. Each is a process of its own, some at a time; after so many minutes none is
 * begun any more, and what is left counts as skipped. Prints a line for each, and
 * what it said if it failed; then what failed, once more, and "N passed, N failed, N skipped" as
 * the last line. Exits with 1 if anything failed or nothing was run.
 *
 * Each process has a TMPDIR of its own. Whatever still carries it in its environment when the
 * tests are done was left behind: it is killed, and the file counts as failed.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Glob } from "bun";
import { kill, sweep } from "./leftovers.ts";

/** For what hangs: on a slow machine a file is slow, not wrong. */
const FILE_SECONDS = 900;
const TEST_SECONDS = 250;
/** Most tests wait more than they work. */
const AT_ONCE = 2 * availableParallelism();
/** For .ci/run. */
const SUMMARY = "build/test.summary";

/** The order: what says most in the least time, then what takes longest, then all others. */
const ORDER = [/^lint/, /^test\/[^/]*$/, /^test\/e2e\/faults/, /^test\/e2e/, /^/];

type Job = { name: string; command: string[]; report?: string };
type Counts = { passed: number; failed: number; skipped: number };
type Result = Counts & { name: string; output: string; seconds: number };

const bun = process.execPath;
const LINT: Job[] = [
  { name: "lint/types", command: [bun, "node_modules/typescript/bin/tsc"] },
  {
    name: "lint/biome",
    command: [bun, "node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
  },
  { name: "lint/programs", command: [bun, "scripts/check.ts"] },
];

process.chdir(join(import.meta.dir, ".."));
const scratch = mkdtempSync(join(tmpdir(), "sysmgr-test."));
chmodSync(scratch, 0o755); // a test may go on as another user

function testJob(file: string, round: number): Job {
  const report = join(scratch, `${file.replaceAll("/", ".")}.${round}.xml`);
  const options = [
    `--timeout=${TEST_SECONDS * 1000}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ];
  return { name: file, command: [bun, "test", ...options, `./${file}`], report };
}

/** What is to be run, in order. */
function select(filters: string[], rounds: number): Job[] {
  const rank = (file: string) => ORDER.findIndex((pattern) => pattern.test(file));
  const files = [...new Glob("test/**/*.test.ts").scanSync()].sort();
  files.sort((a, b) => rank(a) - rank(b));
  const jobs = [...LINT];
  for (let round = 1; round <= rounds; round++) {
    jobs.push(...files.map((file) => testJob(file, round)));
  }
  return jobs.filter(({ name }) => filters.length === 0 || filters.some((f) => name.includes(f)));
}

/** Our environment, without what would steer the programs under test. */
function environment(directory: string): Record<string, string | undefined> {
  const steering = /^(SYSDIR|RUNDIR|SVDIR|SVWAIT|SYSMGR_.*|BUN_.*|MAKE.*|MFLAGS|.*_COLOR)$/;
  const kept = Object.entries(process.env).filter(([name]) => !steering.test(name));
  return { ...Object.fromEntries(kept), TMPDIR: directory };
}

let started = 0;

async function run(job: Job): Promise<Result> {
  const directory = join(scratch, String(++started));
  mkdirSync(directory);
  // A file, not a pipe: what is left behind would keep a pipe open, and us waiting.
  const log = `${directory}.log`;
  const fd = openSync(log, "a");
  const began = performance.now();
  const child = Bun.spawn(job.command, {
    env: environment(directory),
    stdio: ["ignore", fd, fd],
    timeout: FILE_SECONDS * 1000,
    killSignal: "SIGKILL",
  });
  closeSync(fd);
  const code = await child.exited;
  const seconds = (performance.now() - began) / 1000;

  let output = readFileSync(log, "utf8");
  if (child.signalCode) output += `${child.signalCode} after ${seconds.toFixed(1)} s\n`;
  if (job.report && !existsSync(job.report))
    output += "bun test wrote no report: no test, or not the end of them\n";
  const counts = job.report ? testCounts(job.report, code) : stepCounts(output, code);
  const left = await sweep(directory);
  if (left.length > 0) {
    counts.failed++;
    output += `left behind, and killed now:\n  ${left.join("\n  ")}\n`;
  }
  rmSync(directory, { recursive: true, force: true });
  return { name: job.name, output, seconds, ...counts };
}

/**
 * What Bun's report says of a test file. No report is one failure: there is none after a syntax
 * error, nor, though Bun exits with 0, from a file without a test or with an exit in its middle.
 */
function testCounts(report: string, code: number): Counts {
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const [suites = ""] = readFileSync(report, "utf8").match(/<testsuites [^>]*>/) ?? [];
  const count = (key: string) => Number(suites.match(` ${key}="(\\d+)"`)?.[1] ?? 0);
  const skipped = count("skipped");
  const failed = Math.max(count("failures"), code === 0 ? 0 : 1);
  return { passed: Math.max(count("tests") - failed - skipped, 0), failed, skipped };
}

function tooLate({ name }: Job): Result {
  const output = "(skip) the whole file: no time is left";
  return { name, output, seconds: 0, passed: 0, failed: 0, skipped: 1 };
}

/** A lint step is one test, and what it says it skipped is another. */
function stepCounts(output: string, code: number): Counts {
  const [passed, failed] = code === 0 ? [1, 0] : [0, 1];
  return { passed, failed, skipped: skips(output).length };
}

function skips(output: string): string[] {
  return output.split("\n").filter((line) => line.startsWith("(skip)"));
}

function words({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function report(result: Result): void {
  const verdict = result.failed > 0 ? "FAIL" : "ok  ";
  const took = `${result.seconds.toFixed(1)} s`;
  console.log(`${verdict} ${result.name.padEnd(40)} ${words(result)}, ${took}`);
  for (const line of skips(result.output)) console.log(`       ${line}`);
  if (result.failed > 0) console.log(withoutPasses(result.output));
}

function withoutPasses(output: string): string {
  const lines = output.trimEnd().split("\n");
  return lines.filter((line) => !line.startsWith("(pass)")).join("\n");
}

/** Until `end`, on the clock of performance.now(). */
async function runAll(jobs: Job[], end: number): Promise<Result[]> {
  const results: Result[] = [];
  const queue = jobs.values();
  const worker = async () => {
    for (const job of queue) {
      const result = performance.now() < end ? await run(job) : tooLate(job);
      report(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { repeat: { type: "string", default: "1" }, minutes: { type: "string" } },
    allowPositionals: true,
  });
  const rounds = Number(values.repeat);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--repeat needs a number from 1");
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY);
  if (!(minutes > 0)) throw new Error("--minutes needs a number");

  const end = performance.now() + minutes * 60_000;
  const results = await runAll(select(positionals, rounds), end);
  for (const { name, output } of results.filter(({ failed }) => failed > 0)) {
    const tests = output.split("\n").filter((line) => line.startsWith("(fail)"));
    console.log([`\nFAIL ${name}`, ...tests].join("\n     "));
  }
  const sum = (key: keyof Counts) => results.reduce((total, result) => total + result[key], 0);
  const total = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
  await Bun.write(SUMMARY, `${words(total)}\n`);
  console.log(`\n${words(total)}`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

/** Ctrl-C reaches the tests, but not the services they have started. */
async function interrupted(): Promise<void> {
  await kill(scratch);
  rmSync(scratch, { recursive: true, force: true });
  process.exit(130);
}

process.on("SIGINT", interrupted);
process.on("SIGTERM", interrupted);
try {
  process.exitCode = await main();
} catch (error) {
  console.error(`test: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
