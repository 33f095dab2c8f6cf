/** The rows of `svctl top`, measured again and again. */
import * as proc from "../proc.ts";
import type { Shown } from "../report.ts";
import type { Census } from "./census.ts";
import { chosen, plainText } from "./eye.ts";
import type { Row } from "./table.ts";
import { descriptorsOf, type Usage, UsageMeter } from "./usage.ts";

/** The CPU time that a session had used at a moment (performance.now()). */
type Reading = { readonly started: number; readonly cpu: number; readonly at: number };

export class Sampler {
  private readonly meter = new UsageMeter();
  private usage = new Map<number, Usage>();
  private percent = new Map<number, number>();
  private readings = new Map<number, Reading>();

  constructor(
    readonly census: Census,
    private readonly names: readonly string[] = [],
  ) {
    chosen(census.look(), names);
  }

  /** Asks /proc what all of them use, and gives the table. */
  measure(): Row[] {
    const shown = this.look();
    const leaders = shown.flatMap((s) => s.status?.process ?? []);
    const now = performance.now();
    this.usage = this.meter.measure(leaders);
    const uptime = proc.ageOf(0);
    const readings = new Map<number, Reading>();
    this.percent = new Map();
    for (const { pid, started } of leaders) {
      const cpu = this.usage.get(pid)?.cpu;
      if (cpu === undefined) continue;
      const before = this.readings.get(pid);
      const reading = { started, cpu, at: now };
      // At the first sight of a process: since it was started.
      const [used, elapsed] =
        before?.started === started
          ? [cpu - before.cpu, now - before.at]
          : [cpu, uptime - started * (1000 / proc.TICKS_PER_SECOND)];
      readings.set(pid, reading);
      if (elapsed > 0) this.percent.set(pid, (Math.max(0, used) * 100_000) / elapsed);
    }
    this.readings = readings;
    return this.rowsOf(shown, uptime);
  }

  /** The table with what was measured last. */
  rows(): Row[] {
    return this.rowsOf(this.look(), proc.ageOf(0));
  }

  private look(): readonly Shown[] {
    const all = this.census.look();
    if (this.names.length === 0) return all;
    return all.filter((shown) => this.names.includes(shown.name));
  }

  private rowsOf(shown: readonly Shown[], uptime: number): Row[] {
    const now = Date.now();
    return shown.map((s) => this.row(s, uptime, now));
  }

  private row(shown: Shown, uptime: number, now: number): Row {
    const { status } = shown;
    const pid = status?.process?.pid ?? 0;
    const usage = this.usage.get(pid);
    const started = status?.process?.started;
    const age =
      started === undefined
        ? now - (status?.since ?? now)
        : uptime - started * (1000 / proc.TICKS_PER_SECOND);
    return {
      shown,
      name: plainText(shown.name),
      age: Math.max(0, age),
      cpu: this.percent.get(pid) ?? null,
      memory: usage?.memory ?? null,
      threads: usage?.threads ?? null,
      descriptors: remembered(() => (usage ? descriptorsOf(usage.pids) : null)),
      next: status?.next == null ? null : Math.max(0, status.next - now),
    };
  }
}

function remembered<T>(compute: () => T): () => T {
  let found: { value: T } | null = null;
  return () => {
    found ??= { value: compute() };
    return found.value;
  };
}
