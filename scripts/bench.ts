// Usage: bun scripts/bench.ts [--peers A,B] [--n 1,100,1000] [--only GROUP,...] [--quick]
//          [--rounds N] [--idle SECONDS] [--many N] [--out DIR] [--draw FILE]
//
//   --peers A,B     only these contestants (default: all that are installed)
//   --n N,N         numbers of services (default 1,100,1000)
//   --only G,G      only these groups: start idle memory status kill control new shutdown
//   --quick         two rounds, six repetitions in all, a 5 s idle window
//   --rounds N      lives per contestant and N (default 5; 3 from 1,000 services on)
//   --idle SECONDS  length of the idle window (default 20)
//   --many N        also start, list and stop N services under us, e.g. 10000
//   --out DIR       where bench.json and bench.svg go (default docs for a full run,
//                   build/bench for a partial one)
//   --draw FILE     measure nothing: print and draw the bench.json of an earlier run
//
// Measures sysmgr beside the other supervisors that are installed (runit, daemontools, s6,
// supervisord; the C sysmgr and pmtr if on PATH), and a yardstick in C that does nothing
// but start and wait. In each round every contestant runs the same N services once, from
// start to stop, so that a machine that gets slower is unfair to none; another one begins
// each round. All get the same service script, environment and tmpfs. "Running" is the
// service's own mark, "gone" the end of its process; both are looked at every 0.1 ms
// (bench/observe.ts). Latencies are repeated 30 times, fewer where a peer takes seconds;
// the table gives medians. What each row means, and how each peer is asked, is printed
// below the table. A full run takes about half an hour; use a quiet machine.
//
// A contestant that fails a step gets "-" and a note. Nothing is killed by name, and
// nothing is left behind, on ctrl-C neither: every process that belongs to a run carries
// the run's directory in its environment (bench/proc.ts).
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Options, parse, UsageError } from "./bench/options.ts";
import type { Peer } from "./bench/peer.ts";
import { OURS, PEERS } from "./bench/peers.ts";
import { sweep } from "./bench/proc.ts";
import { fromJson, machine, type Results, toJson } from "./bench/results.ts";
import { measure, measureMany, reason, say, works } from "./bench/rounds.ts";
import { toSvg } from "./bench/svg.ts";
import { toText } from "./bench/table.ts";

const TMPFS = "/dev/shm";

async function main(): Promise<void> {
  const options = parse(
    process.argv.slice(2),
    PEERS.map((peer) => peer.name),
  );
  const results = options.draw ? fromJson(readFileSync(options.draw, "utf8")) : await run(options);
  console.log(`\n${toText(results)}`);
  mkdirSync(options.out, { recursive: true });
  if (!options.draw) writeFileSync(join(options.out, "bench.json"), toJson(results));
  writeFileSync(join(options.out, "bench.svg"), toSvg(results));
  say(`wrote ${join(options.out, options.draw ? "bench.svg" : "bench.json and bench.svg")}`);
}

async function run(options: Options): Promise<Results> {
  const onTmpfs = existsSync(TMPFS);
  const base = mkdtempSync(join(onTmpfs ? TMPFS : tmpdir(), "sysmgr-bench."));
  leaveNothing(base);
  const peers = await present(options, join(base, "trial"));
  const results: Results = {
    machine: machine(onTmpfs),
    options: { ...options },
    ours: OURS.name,
    contestants: peers.map((peer) => ({
      name: peer.name,
      version: peer.version() ?? "",
      yardstick: peer.yardstick ?? false,
      how: peer.how,
    })),
    lines: [],
  };
  await measure(results, peers, options, base);
  const { many } = options;
  if (many !== undefined && peers.includes(OURS))
    await measureMany(results, OURS, { ...options, many }, base);
  return results;
}

/** Whichever way this process ends (but kill -9), its processes and files go with it. */
function leaveNothing(base: string): void {
  process.on("exit", () => {
    sweep(base);
    rmSync(base, { recursive: true, force: true });
  });
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  process.on("SIGHUP", () => process.exit(129));
}

/** The contestants that are installed and work. */
async function present(options: Options, trial: string): Promise<Peer[]> {
  const wanted = PEERS.filter((peer) => options.peers?.includes(peer.name) ?? true);
  const peers: Peer[] = [];
  for (const peer of wanted) {
    if (peer.version() === undefined) say(`${peer.name}: not installed`);
    else if (await works(peer, trial)) peers.push(peer);
  }
  if (peers.length === 0) throw new Error("nobody to measure");
  return peers;
}

try {
  await main();
} catch (error) {
  say(reason(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
