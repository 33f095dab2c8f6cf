// The samples of a whole run, and what is read out of them.
import { cpus, loadavg, release, totalmem } from "node:os";
import { ROWS, type Row } from "./measures.ts";
import type { Group } from "./peer.ts";

export interface Cell {
  readonly samples: number[];
  /** Why there are no samples, or fewer than asked for. */
  note?: string;
}

/** One line of the table: a row at one N. */
export interface Line {
  readonly row: string;
  readonly services: number;
  readonly cells: Record<string, Cell>;
}

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly kernel: string;
  readonly bun: string;
  readonly tmpfs: boolean;
  /** One-minute load average before the run: figures of a busy machine mean little. */
  readonly loadBefore: number;
}

export interface Contestant {
  readonly name: string;
  readonly version: string;
  readonly yardstick: boolean;
  readonly how: Partial<Record<Group, string>>;
}

export interface Results {
  readonly machine: Machine;
  readonly options: Readonly<Record<string, unknown>>;
  /** The name of the contestant that is us. */
  readonly ours: string;
  readonly contestants: readonly Contestant[];
  readonly lines: Line[];
}

export function machine(tmpfs: boolean): Machine {
  const processors = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryGB: Math.round(totalmem() / 1e9),
    kernel: release(),
    bun: Bun.version,
    tmpfs,
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

/** The cell of a contestant, made if it is not there. */
export function cell(results: Results, row: string, services: number, name: string): Cell {
  let line = results.lines.find((each) => each.row === row && each.services === services);
  if (line === undefined) {
    line = { row, services, cells: {} };
    results.lines.push(line);
  }
  line.cells[name] ??= { samples: [] };
  return line.cells[name];
}

/** The lines in the order of the rows, each with its row. */
export function sorted(results: Results): { row: Row; line: Line }[] {
  return ROWS.flatMap((row) =>
    results.lines
      .filter((line) => line.row === row.id)
      .sort((a, b) => a.services - b.services)
      .map((line) => ({ row, line })),
  );
}

/** The value below which a share of the samples lies (nearest rank); undefined without any. */
export function quantile(
  samples: readonly number[] | undefined,
  share: number,
): number | undefined {
  if (samples === undefined || samples.length === 0) return undefined;
  const ordered = [...samples].sort((a, b) => a - b);
  if (share === 0.5 && ordered.length % 2 === 0) {
    const [low, high] = [ordered[ordered.length / 2 - 1], ordered[ordered.length / 2]];
    return low === undefined || high === undefined ? undefined : (low + high) / 2;
  }
  return ordered[Math.max(0, Math.ceil(share * ordered.length) - 1)];
}

export const median = (cell: Cell | undefined): number | undefined => quantile(cell?.samples, 0.5);

/** The best peer of a line: neither us nor a yardstick. */
export function best(results: Results, line: Line): { name: string; value: number } | undefined {
  return results.contestants
    .filter((each) => each.name !== results.ours && !each.yardstick)
    .map((each) => ({ name: each.name, value: median(line.cells[each.name]) }))
    .filter((each): each is { name: string; value: number } => each.value !== undefined)
    .sort((a, b) => a.value - b.value)[0];
}

/** Our median divided by the best peer's; undefined where that says nothing. */
export function ratio(results: Results, row: Row, line: Line): number | undefined {
  if (row.unit !== "ms" && row.unit !== "MB") return undefined;
  const ours = median(line.cells[results.ours]);
  const other = best(results, line);
  return ours === undefined || other === undefined || other.value === 0
    ? undefined
    : ours / other.value;
}

/** Whether our goal for this line is reached; undefined if there is none, or no figure. */
export function reached(results: Results, row: Row, line: Line): boolean | undefined {
  const ours = median(line.cells[results.ours]);
  if (row.goal?.n !== line.services || ours === undefined) return undefined;
  const other = best(results, line);
  const ahead = !row.goal.ahead || other === undefined || ours < other.value;
  return ahead && (row.goal.most === undefined || ours <= row.goal.most);
}

/** A goal in words: "4 ms or less, ahead of all". */
export function goal(row: Row): string {
  const most = row.goal?.most === undefined ? [] : [`${row.goal.most} ${row.unit} or less`];
  return [...most, ...(row.goal?.ahead ? ["ahead of all"] : [])].join(", ");
}

/** Three digits, so that 0.04, 1.53, 24.1 and 4630 can be read side by side. */
export function figure(value: number | undefined): string {
  if (value === undefined) return "-";
  if (value === 0) return "0";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** What goes into bench.json: for each line and contestant its median, p90 and samples. */
export const toJson = (results: Results): string => `${JSON.stringify(plain(results), null, 2)}\n`;

function plain(results: Results) {
  const lines = sorted(results).map(({ row, line }) => ({
    ...row,
    n: line.services,
    ratioToBest: ratio(results, row, line) ?? null,
    best: best(results, line)?.name ?? null,
    reached: reached(results, row, line) ?? null,
    figures: Object.fromEntries(
      Object.entries(line.cells).map(([name, { samples, note }]) => [
        name,
        {
          median: quantile(samples, 0.5) ?? null,
          p90: quantile(samples, 0.9) ?? null,
          samples: samples.map((value) => Number(value.toFixed(3))),
          ...(note === undefined ? {} : { note }),
        },
      ]),
    ),
  }));
  const { machine, options, ours, contestants } = results;
  // Where it is written to is no part of it.
  return { machine, options: { ...options, out: undefined }, ours, contestants, lines };
}

/** What toJson() wrote. The figures are counted again from the samples. */
export function fromJson(text: string): Results {
  const { lines, ...rest }: ReturnType<typeof plain> = JSON.parse(text);
  return {
    ...rest,
    lines: lines.map(({ id, n, figures }) => ({ row: id, services: n, cells: figures })),
  };
}
