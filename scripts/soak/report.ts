// What is counted, what went wrong, and the table at the end.
import type { History } from "./history.ts";

/** What sysmgr itself costs at a quiet point. */
export interface Cost {
  readonly memory: number;
  readonly descriptors: number;
  /** Services that it has adopted: each costs it two descriptors. */
  readonly adopted: number;
}

const TOLD_IN_FULL = 12;
const HISTORY_LINES = 60;

export const say = (line: string): void => console.error(`soak: ${line}`);

export class Tally {
  readonly commands = new Map<string, number>();
  readonly faults = new Map<string, number>();
  readonly late = new Map<string, number>();
  readonly costs: Cost[] = [];
  readonly violations: string[] = [];
  /** What sysmgr has open when it has no service. */
  bareDescriptors = 0;
  /** For what is told of a violation. */
  history: History | undefined;

  command(what: string): void {
    count(this.commands, what);
  }

  fault(what: string, times = 1): void {
    count(this.faults, what, times);
  }

  /** A command whose goal was not reached in time, for a good reason. */
  excused(why: string): void {
    count(this.late, why);
  }

  violation(service: string | null, what: string): void {
    const line = service === null ? what : `${service}: ${what}`;
    this.violations.push(line);
    console.log(`VIOLATION ${this.violations.length}: ${line}`);
    if (this.violations.length > TOLD_IN_FULL) return;
    const told = this.history?.tell(service ?? "", HISTORY_LINES) ?? [];
    for (const each of told) console.log(`    ${each}`);
  }

  table(): string {
    const [first, last] = [this.costs[0], this.costs.at(-1)];
    const cost = (c: Cost | undefined): string =>
      c === undefined
        ? "-"
        : `${c.memory.toFixed(1)} MB, ${c.descriptors} descriptors (${c.adopted} services adopted)`;
    return [
      ...section("commands sent", this.commands),
      ...section("faults injected", this.faults),
      ...section("commands not done in time, with reason", this.late),
      row("quiet points checked", this.costs.length),
      row("violations", this.violations.length),
      `sysmgr at the first quiet point: ${cost(first)}`,
      `sysmgr at the last quiet point:  ${cost(last)}`,
      `most at any quiet point: ${Math.max(...this.costs.map((c) => c.memory)).toFixed(1)} MB`,
    ].join("\n");
  }
}

function section(title: string, counts: ReadonlyMap<string, number>): string[] {
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return [row(title, total), ...rows.map(([what, n]) => row(`  ${what}`, n))];
}

function row(what: string, n: number): string {
  return `${what.padEnd(44)}${String(n).padStart(8)}`;
}

function count(counts: Map<string, number>, what: string, times = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + times);
}
