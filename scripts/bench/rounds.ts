// The order of things: rounds of lives, and what is measured in each life.
import { join } from "node:path";
import { Life, Skip } from "./life.ts";
import { type Effort, ROWS, type Samples, TAKES } from "./measures.ts";
import type { Options } from "./options.ts";
import type { Group, Peer } from "./peer.ts";
import { cell, type Results } from "./results.ts";

/** Time (ms) for a supervisor to come to rest after its start, before it is looked at. */
const SETTLE = 3000;
/** Time (ms) after the last change of any service, before all are stopped. */
const REST = 1500;
/** Age (ms) of the services before the start: runsvdir waits while a directory is brand-new. */
const AGE = 1100;
/** How often a latency is measured, over all rounds; how often when --quick. */
const REPETITIONS = 30;
const QUICK_REPETITIONS = 6;
/** The groups that say something about very many services. */
const MANY: readonly Group[] = ["start", "idle", "memory", "status", "shutdown"];

/** Progress and trouble, on stderr. */
export const say = (line: string): void => console.error(`bench: ${line}`);
export const reason = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Whether a peer comes through a life with one service; also warms the page cache. */
export async function works(peer: Peer, root: string): Promise<boolean> {
  let life: Life | undefined;
  try {
    life = Life.prepare(peer, 1, root);
    await life.start();
    await life.shutdown();
    return true;
  } catch (error) {
    say(`${peer.name}: left out: ${reason(error)} ${life?.lastWords() ?? ""}`);
    return false;
  } finally {
    life?.clear();
  }
}

/** Fills `results`; everything that runs lives below the directory `base`. */
export async function measure(
  results: Results,
  peers: readonly Peer[],
  options: Options,
  base: string,
): Promise<void> {
  for (const n of options.n) {
    const rounds = options.rounds ?? (options.quick ? 2 : n >= 1000 ? 3 : 5);
    const repetitions = Math.ceil((options.quick ? QUICK_REPETITIONS : REPETITIONS) / rounds);
    for (let round = 0; round < rounds; round++) {
      // The idle window is long and steady: one is enough.
      const steady = options.only.filter((group) => group !== "idle" || round === 0);
      for (const [place, peer] of turned(peers, round).entries()) {
        say(`${n} services, round ${round + 1} of ${rounds}: ${peer.name}`);
        const groups = steady.filter((group) => peer.only?.includes(group) ?? true);
        const root = join(base, `${n}-${round}-${place}`);
        await oneLife(results, peer, n, groups, { repetitions, idle: options.idle }, root);
      }
    }
  }
}

/** A different one begins each round. */
function turned<T>(all: readonly T[], round: number): T[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

/** Very many services under one supervisor, once. */
export async function measureMany(
  results: Results,
  peer: Peer,
  options: Options & { readonly many: number },
  base: string,
): Promise<void> {
  say(`${options.many} services: ${peer.name}`);
  const groups = MANY.filter((group) => options.only.includes(group));
  const effort = { repetitions: 5, idle: options.idle };
  await oneLife(results, peer, options.many, groups, effort, join(base, "many"));
}

/** One supervisor from start to stop, with everything that is measured in between. */
async function oneLife(
  results: Results,
  peer: Peer,
  n: number,
  groups: readonly Group[],
  effort: Effort,
  root: string,
): Promise<void> {
  const take = (group: Group, sample: () => Promise<Samples>): Promise<boolean> =>
    record(results, peer, n, group, groups.includes(group), sample);

  if (peer.limit !== undefined && n > peer.limit) {
    const refusal = new Skip(`refuses more than ${peer.limit} services`);
    for (const group of groups) await take(group, () => Promise.reject(refusal));
    return;
  }
  const life = Life.prepare(peer, n, root);
  try {
    await Bun.sleep(AGE);
    if (!(await take("start", async () => ({ start: [await life.start()] })))) return;
    await Bun.sleep(SETTLE);
    for (const [group, measurement] of TAKES)
      if (groups.includes(group)) await take(group, () => measurement(life, effort));
    await Bun.sleep(REST);
    await take("shutdown", async () => ({ shutdown: [await life.shutdown()] }));
  } finally {
    life.clear();
  }
}

/** Takes the samples of a group, and writes them down if wanted; false if that failed. */
async function record(
  results: Results,
  peer: Peer,
  n: number,
  group: Group,
  wanted: boolean,
  sample: () => Promise<Samples>,
): Promise<boolean> {
  const rows = wanted ? ROWS.filter((row) => row.group === group) : [];
  const cells = rows.map((row) => ({ id: row.id, cell: cell(results, row.id, n, peer.name) }));
  try {
    const samples = await sample();
    for (const { id, cell } of cells) cell.samples.push(...(samples[id] ?? []));
    return true;
  } catch (error) {
    for (const { cell } of cells) cell.note = reason(error);
    if (!(error instanceof Skip)) say(`${peer.name}: ${group}: ${reason(error)}`);
    return false;
  }
}
