// Usage: bun scripts/reliability.ts [--peers A,B] [--only SCENARIO,...] [--out FILE]
//
//   --peers A,B   only these supervisors (default: all that are installed)
//   --only S,S    only these scenarios: supervisor keeper processes disk disk-supervisor many
//                 orphans stubborn
//   --out FILE    the document to write (default docs/reliability.md for a full run,
//                 build/reliability.md for a partial one)
//
// Makes things go wrong under sysmgr and under the other supervisors that are installed (runit,
// daemontools, s6, supervisord; the C sysmgr and pmtr if on PATH), and tells what became of the
// services: their supervisor is killed, no process can be started, the disk is full, there are
// too many of them, they leave orphans, they do not want to stop. Prints a table, and writes the
// document with it. Takes about five minutes.
//
// Needs root, for a private mount namespace (the full disk), a pids cgroup (the full process
// table) and PID namespaces. The machine itself is never made full. Nothing is killed by name,
// and nothing is left behind, on ctrl-C neither: every process of a run carries the run's
// directory in its environment (bench/proc.ts).
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Peer } from "./bench/peer.ts";
import { PEERS } from "./bench/peers.ts";
import { sweep } from "./bench/proc.ts";
import { machine } from "./bench/results.ts";
import { diskFull } from "./reliability/disk-full.ts";
import { diskFullRestart } from "./reliability/disk-full-restart.ts";
import { keeperKilled } from "./reliability/keeper-killed.ts";
import { many } from "./reliability/many.ts";
import { orphans } from "./reliability/orphans.ts";
import { processesFull, removeGroups } from "./reliability/processes-full.ts";
import { type Findings, key, toMarkdown, toText } from "./reliability/report.ts";
import { type Cells, Impossible, type Scenario } from "./reliability/scenario.ts";
import { unmountAll } from "./reliability/small-disk.ts";
import { stubborn } from "./reliability/stubborn.ts";
import { supervisorKilled } from "./reliability/supervisor-killed.ts";

const SCENARIOS: readonly Scenario[] = [
  supervisorKilled,
  keeperKilled,
  processesFull,
  diskFull,
  diskFullRestart,
  many,
  orphans,
  stubborn,
];
const TMPFS = "/dev/shm";
/** Set when this program has its own mount namespace. */
const INSIDE = "SYSMGR_RELIABILITY_INSIDE";

class UsageError extends Error {}

interface Options {
  readonly peers: readonly Peer[];
  readonly scenarios: readonly Scenario[];
  readonly out: string;
}

const say = (line: string): void => console.error(`reliability: ${line}`);
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  if (process.getuid?.() !== 0) throw new Error("needs root");
  if (process.env[INSIDE] === undefined) enterNamespace();
  const onTmpfs = existsSync(TMPFS);
  const base = mkdtempSync(join(onTmpfs ? TMPFS : tmpdir(), "sysmgr-reliability."));
  leaveNothing(base);
  const peers = options.peers.filter(present);
  const findings: Findings = {
    machine: machine(onTmpfs),
    command: ["make reliability", ...given()].join(" "),
    contestants: peers.map((peer) => ({ name: peer.name, version: peer.version() ?? "" })),
    scenarios: options.scenarios,
    cells: await tryAll(peers, options.scenarios, base),
  };
  console.log(`\n${toText(findings)}`);
  mkdirSync(dirname(options.out), { recursive: true });
  writeFileSync(options.out, toMarkdown(findings));
  say(`wrote ${options.out}`);
}

function parse(args: string[]): Options {
  const { peers, only, out } = strings(args);
  const chosen = PEERS.filter((peer) => peer.yardstick !== true);
  return {
    peers: pick("peers", chosen, (peer) => peer.name, peers),
    scenarios: pick("only", SCENARIOS, (scenario) => scenario.id, only),
    out: out ?? (peers || only ? "build/reliability.md" : "docs/reliability.md"),
  };
}

function strings(args: string[]) {
  const string = { type: "string" } as const;
  try {
    return parseArgs({ args, options: { peers: string, only: string, out: string } }).values;
  } catch (error) {
    throw new UsageError(reason(error));
  }
}

function pick<T>(
  option: string,
  all: readonly T[],
  name: (each: T) => string,
  list: string | undefined,
): readonly T[] {
  const wanted = list?.split(",") ?? all.map(name);
  const unknown = wanted.find((each) => !all.some((one) => name(one) === each));
  if (unknown !== undefined)
    throw new UsageError(`--${option}: ${unknown} is none of ${all.map(name).join(", ")}`);
  return all.filter((each) => wanted.includes(name(each)));
}

const given = (): string[] => {
  const args = process.argv.slice(2);
  return args.length === 0 ? [] : [`ARGS="${args.join(" ")}"`];
};

/** Becomes the same program in a mount namespace of its own: what it mounts, it alone sees. */
function enterNamespace(): never {
  const unshare = Bun.which("unshare");
  if (unshare === null) throw new Error("needs unshare");
  const script = [process.execPath, import.meta.path, ...process.argv.slice(2)];
  process.execve?.(unshare, ["unshare", "-m", ...script], { ...process.env, [INSIDE]: "1" });
  throw new Error(`cannot execute ${unshare}`);
}

/** Whichever way this process ends (but kill -9), its processes, mounts and files go with it. */
function leaveNothing(base: string): void {
  process.on("exit", () => {
    sweep(base);
    unmountAll();
    removeGroups();
    rmSync(base, { recursive: true, force: true });
  });
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  process.on("SIGHUP", () => process.exit(129));
}

function present(peer: Peer): boolean {
  const version = peer.version();
  if (version === undefined) say(`${peer.name}: not installed`);
  return version !== undefined;
}

async function tryAll(
  peers: readonly Peer[],
  scenarios: readonly Scenario[],
  base: string,
): Promise<Map<string, Cells>> {
  const found = new Map<string, Cells>();
  for (const scenario of scenarios) {
    const attempt = async (peer: Peer): Promise<void> => {
      const root = join(base, `${basename(base)}.${scenario.id}.${PEERS.indexOf(peer)}`);
      found.set(key(scenario, peer.name), await tryOne(scenario, peer, root));
    };
    say(scenario.title);
    if (scenario.alone) for (const peer of peers) await attempt(peer);
    else await Promise.all(peers.map(attempt));
  }
  return found;
}

/** What could not be tried is said in every row of it. */
async function tryOne(scenario: Scenario, peer: Peer, root: string): Promise<Cells> {
  try {
    return await scenario.attempt(peer, root);
  } catch (error) {
    const what = error instanceof Impossible ? "not tried" : "not measured";
    say(`${peer.name}: ${scenario.id}: ${reason(error)}`);
    const words = `${what}: ${reason(error)}`;
    return Object.fromEntries(scenario.rows.map((row) => [row.id, { words }]));
  }
}

try {
  await main();
} catch (error) {
  say(reason(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
