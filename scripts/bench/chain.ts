/**
 * usage: scripts/bun.sh scripts/bench/chain.ts [ROUNDS]
 *
 * What programs that become others cost: wall and CPU time, in milliseconds, from the start of one
 * step, or of three in a row, to the end of /bin/true; ours and the originals, where those are
 * installed, by turns, medians of ROUNDS (100). Then the memory of a program that ours has become.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alignRows } from "./rows.ts";

const OURS = join(import.meta.dir, "../../build/bin");
const THEIRS = "/usr/bin";
const TRUE = "/bin/true";

const rounds = Number(process.argv[2] ?? 100);
const scratch = mkdtempSync(join(tmpdir(), "sysmgr-bench."));
const [directory, lock] = [`${scratch}/env`, `${scratch}/lock`];

/** Command lines by what is between programs and their arguments. */
type Case = { name: string; command: (bin: string) => string[] };

const cases: Case[] = [
  { name: "chpst -o 1000", command: (bin) => [`${bin}/chpst`, "-o", "1000"] },
  { name: "envdir", command: (bin) => [`${bin}/envdir`, directory] },
  { name: "setlock", command: (bin) => [`${bin}/setlock`, lock] },
  { name: "softlimit", command: (bin) => [`${bin}/softlimit`, "-m", "100000000"] },
  {
    name: "envdir, setlock, chpst",
    command: (bin) => [
      `${bin}/envdir`,
      directory,
      `${bin}/setlock`,
      lock,
      `${bin}/chpst`,
      "-n",
      "1",
    ],
  },
];
if (process.getuid?.() === 0) {
  cases.unshift({ name: "setuidgid", command: (bin) => [`${bin}/setuidgid`, "nobody"] });
}

type Times = { wall: number[]; cpu: number[] };

function run(command: string[], { wall, cpu }: Times): void {
  const began = performance.now();
  const { exitCode, resourceUsage } = Bun.spawnSync([...command, TRUE], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  wall.push(performance.now() - began);
  cpu.push(Number(resourceUsage.cpuTime.total) / 1000);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} exited with ${exitCode}`);
}

function median(values: number[]): string {
  if (values.length === 0) return "-";
  return (values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN).toFixed(2);
}

/** The proportional set size of a cat that a command has become. */
function memory(command: string[]): string {
  const show = ["/bin/cat", "/proc/self/smaps_rollup"];
  const { stdout } = Bun.spawnSync([...command, ...show]);
  return String(stdout).match(/^Pss:\s+(\d+) kB$/m)?.[1] ?? "-";
}

function measure({ name, command }: Case): string[] {
  const [ours, theirs] = [OURS, THEIRS].map(command) as [string[], string[]];
  const there = theirs.every((word) => !word.startsWith(THEIRS) || existsSync(word));
  const times: [Times, Times] = [
    { wall: [], cpu: [] },
    { wall: [], cpu: [] },
  ];
  for (let round = 0; round < rounds; round++) {
    run(ours, times[0]);
    if (there) run(theirs, times[1]);
  }
  const figures = times.flatMap(({ wall, cpu }) => [median(wall), median(cpu)]);
  return [name, ...figures, memory(ours), there ? memory(theirs) : "-"];
}

try {
  mkdirSync(directory);
  for (const name of ["HOME", "PORT", "MODE"]) writeFileSync(`${directory}/${name}`, "value\n");
  const alone: Times = { wall: [], cpu: [] };
  for (let round = 0; round < rounds; round++) run([], alone);
  const head = ["step", "ours: ms", "CPU", "theirs: ms", "CPU", "PSS: kB", "theirs"];
  const base = ["/bin/true alone", "", "", median(alone.wall), median(alone.cpu), "", ""];
  console.log(alignRows([head, base, ...cases.map(measure)]));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
