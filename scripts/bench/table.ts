// The results as plain text.

import { ROWS } from "./measures.ts";
import { GROUPS } from "./peer.ts";
import {
  best,
  figure,
  goal,
  median,
  quantile,
  type Results,
  ratio,
  reached,
  sorted,
} from "./results.ts";

/** The table, then how each row was measured, how each peer was asked, and what is missing. */
export function toText(results: Results): string {
  return [
    headline(results),
    table(results),
    "(p90) in brackets where there were at least 5 samples. ours/best: our median divided by",
    "that of the best peer, yardsticks left out; below 1 we are ahead.",
    "",
    ...paragraph("What is measured", measured(results)),
    ...paragraph("How each is asked", asked(results)),
    ...paragraph("What is missing", missing(results)),
    ...paragraph("What we want to reach", goals(results)),
  ].join("\n");
}

function headline({ machine, contestants }: Results): string {
  const versions = contestants.map((each) => `${each.name} ${each.version}`).join(", ");
  return [
    `${machine.date} UTC; ${machine.cores} cores (${machine.cpu}), ${machine.memoryGB} GB, ` +
      `Linux ${machine.kernel}, load ${machine.loadBefore.toFixed(2)} before the run`,
    `${versions}; all state on ${machine.tmpfs ? "tmpfs" : "disk"}`,
    "",
  ].join("\n");
}

function table(results: Results): string {
  const names = results.contestants.map((each) => each.name);
  const head = ["median", "", "N", ...names, "ours/best"];
  const body = sorted(results).map(({ row, line }) => {
    const other = ratio(results, row, line);
    const cells = names.map((name) => {
      const samples = line.cells[name]?.samples ?? [];
      const spread = samples.length >= 5 ? ` (${figure(quantile(samples, 0.9))})` : "";
      return `${figure(median(line.cells[name]))}${spread}`;
    });
    const compared = other === undefined ? "" : `${other.toFixed(2)} ${best(results, line)?.name}`;
    const services = line.services.toLocaleString("en-US");
    return [row.title, row.unit, services, ...cells, compared];
  });
  return `${align([head, ...body], new Set([0, 1, head.length - 1]))}\n`;
}

function align(rows: readonly (readonly string[])[], left: ReadonlySet<number>): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const pad = (text: string, i: number): string =>
    left.has(i) ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

function paragraph(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`), ""];
}

function measured(results: Results): string[] {
  const script = "echo NAME $$ >>marks; exec sleep 1000000";
  const present = ROWS.filter((row) => results.lines.some((line) => line.row === row.id));
  return [
    `the same service for all: ${script}`,
    ...present.map((row) => `${row.title.trim()}: ${row.how}`),
  ];
}

function asked({ contestants, lines }: Results): string[] {
  const groups = new Set(lines.map((line) => ROWS.find((row) => row.id === line.row)?.group));
  return contestants.flatMap(({ name, how }) =>
    GROUPS.filter((group) => groups.has(group) && how[group] !== undefined).map(
      (group) => `${name}: ${group}: ${how[group]}`,
    ),
  );
}

function missing(results: Results): string[] {
  const notes = sorted(results).flatMap(({ row, line }) =>
    Object.entries(line.cells)
      .filter(([, cell]) => cell.note !== undefined)
      .map(([name, cell]) => `${row.title.trim()}, N = ${line.services}: ${name}: ${cell.note}`),
  );
  return [...new Set(notes)];
}

function goals(results: Results): string[] {
  return sorted(results).flatMap(({ row, line }) => {
    const verdict = reached(results, row, line);
    if (verdict === undefined) return [];
    const ours = figure(median(line.cells[results.ours]));
    const what = `${row.title.trim()}, N = ${line.services}: ${goal(row)}`;
    return [`${verdict ? "reached" : "MISSED "}  ${what}: ${ours} ${row.unit}`];
  });
}
