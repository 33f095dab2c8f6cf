// What a scenario is, and the words that it finds for what it saw.
import type { Peer } from "../bench/peer.ts";
import { type Life, runs } from "./lives.ts";
import { Run, type Setting, within } from "./run.ts";

/** What was seen, and what it costs: 0 is the best there can be, Infinity a failure. */
export interface Cell {
  readonly words: string;
  /** In seconds, or a number of services; undefined: nothing to compare. */
  readonly cost?: number;
}

export interface Row {
  readonly id: string;
  readonly title: string;
}

export type Cells = Readonly<Record<string, Cell>>;

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** How the fault is made, and what is looked at: paragraphs of the document. */
  readonly produced: string;
  readonly looked: string;
  /** One peer after the other, because it keeps the machine busy. */
  readonly alone?: true;
  /** Tries one peer; all that it makes is below `root` and gone when it returns. */
  attempt(peer: Peer, root: string): Promise<Cells>;
}

/** The fault cannot be made here, and why. */
export class Impossible extends Error {}

export const good = (words: string): Cell => ({ words, cost: 0 });
export const bad = (words: string, cost = Number.POSITIVE_INFINITY): Cell => ({ words, cost });
export const neutral = (words: string): Cell => ({ words });

/** How long it took, or what is to be said when it did not happen. */
export function timed(before: string, ms: number | undefined, never: string): Cell {
  if (ms === undefined) return bad(never);
  return { words: `${before}${duration(ms)}`, cost: ms / 1000 };
}

/** With the accuracy that the looking has. */
export function duration(ms: number): string {
  return ms < 995 ? `${Math.max(1, Math.ceil(ms / 10)) * 10} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export const count = (n: number): string => n.toLocaleString("en-US");

export const services = (n: number): string[] =>
  Array.from({ length: n }, (_, i) => `s${String(i).padStart(4, "0")}`);

/** The i-th service of a run. */
export function nth(run: Run, i: number): string {
  const name = run.names[i];
  if (name === undefined) throw new Error(`fewer than ${i + 1} services`);
  return name;
}

/** Makes a run, does something with it, and leaves nothing of it. */
export async function withRun<T>(setting: Setting, act: (run: Run) => Promise<T>): Promise<T> {
  const run = new Run(setting);
  try {
    return await act(run);
  } finally {
    run.clear();
  }
}

/** What has become of services that should have been left alone. */
export function takenOver(run: Run, before: readonly Life[]): Cell {
  const fate = (life: Life): string => {
    const copies = run.lives.running(life.name).length;
    if (copies > 1) return "started a second time";
    if (copies === 0) return "ended";
    return runs(life) ? "left alone" : "restarted";
  };
  const fates = Map.groupBy(before, fate);
  const words = [...fates].map(([what, those]) => `${those.length} ${what}`).join(", ");
  const alone = fates.get("left alone")?.length ?? 0;
  return alone === before.length ? good(words) : bad(words, before.length - alone);
}

/** Nothing of a stopped service comes back in this time (s). */
const STAYS_DOWN = 1.5;

/** Stops a service with the control tool: does it end, and stay down? */
export async function stopping(run: Run, name: string, seconds: number): Promise<Cell> {
  const { peer, place, lives } = run;
  if (peer.stop === undefined) return neutral("has no tool for it");
  const telling = run.command(peer.stop(place, name));
  const took = await within(seconds, () => lives.running(name).length === 0);
  await telling;
  if (took === undefined)
    return bad(`${lives.running(name).length} of its processes not stopped in ${seconds} s`);
  const back = await within(STAYS_DOWN, () => lives.running(name).length > 0);
  return back === undefined ? timed("gone after ", took, "") : bad("stopped, and started again");
}

/** Until no tool calls a service that runs "starting" any more, without its pid (s). */
const STARTED = 2;

/** Whether what the status tool says of a running service names its process. */
export async function statusOf(run: Run, name: string): Promise<Cell> {
  const { peer, place, lives } = run;
  if (peer.status === undefined) return neutral("has no tool for it");
  await Bun.sleep(STARTED * 1000);
  const told = await run.command(peer.status(place, [name]));
  const names = ({ pid }: Life): boolean => new RegExp(`\\b${pid}\\b`).test(told);
  const [life] = lives.running(name);
  if (life === undefined) return neutral("(it does not run)");
  if (names(life)) return good("right");
  const former = lives.all().filter((each) => each.name === name);
  return bad(former.some(names) ? "wrong: a process that is gone" : "wrong: not its process");
}
