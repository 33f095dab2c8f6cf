// The results as a picture: one small panel per row, one line per contestant, on a
// logarithmic scale. Colours are halfway grey, so that it reads on white and on black.
import { ROWS, type Row } from "./measures.ts";
import { type Contestant, figure, type Line, median, type Results } from "./results.ts";

const COLUMNS = 2;
const PANEL = { width: 430, title: 40, line: 19, axis: 30, labels: 128, values: 74 };
const MARGIN = { x: 16, top: 64, bottom: 44 };
const INK = "#74808e";
const OURS = "#d9541e";
const PEER = "#7a8aa0";
const GRID = "#808a96";
/** Said in words, or of little use without the row above it. */
const NOT_DRAWN = new Set(["stop-command", "start-command", "processes", "others"]);

const STYLE = [
  `text { font: 12px system-ui, "Helvetica Neue", Arial, sans-serif; fill: ${INK}; }`,
  ".head { font-size: 17px; font-weight: 600; }",
  ".title { font-size: 13px; font-weight: 600; }",
  ".small { font-size: 11px; }",
  `.ours { fill: ${OURS}; font-weight: 600; }`,
].join("\n    ");

/** A row at the one N that it is drawn for. */
interface Panel {
  readonly row: Row;
  readonly line: Line;
}

/** Gives the SVG document. */
export function toSvg(results: Results): string {
  const panels = ROWS.filter((row) => !NOT_DRAWN.has(row.id)).flatMap(
    (row) => choose(results, row) ?? [],
  );
  const tall = PANEL.title + PANEL.line * results.contestants.length + PANEL.axis;
  const width = 2 * MARGIN.x + COLUMNS * PANEL.width;
  const height = MARGIN.top + Math.ceil(panels.length / COLUMNS) * tall + MARGIN.bottom;
  const body = panels.map((panel, i) => {
    const x = MARGIN.x + (i % COLUMNS) * PANEL.width;
    const y = MARGIN.top + Math.floor(i / COLUMNS) * tall;
    return `<g transform="translate(${x},${y})">\n${draw(results, panel)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `width="${width}" height="${height}" role="img">`,
    `<title>sysmgr beside other supervisors</title>\n  <style>\n    ${STYLE}\n  </style>`,
    text(MARGIN.x, 26, "sysmgr beside other supervisors", "head"),
    text(MARGIN.x, 46, "medians of one run; to the left is better; logarithmic scales"),
    ...body,
    ...footer(results, height),
    "</svg>\n",
  ].join("\n");
}

/** The N of the row's goal, else the largest N that has figures. */
function choose(results: Results, row: Row): Panel | undefined {
  const lines = results.lines
    .filter((line) => line.row === row.id && Object.values(line.cells).some(median))
    .filter((line) => Object.values(line.cells).length > 1 || results.contestants.length === 1)
    .sort((a, b) => a.services - b.services);
  const line = lines.find((each) => each.services === row.goal?.n) ?? lines.at(-1);
  return line === undefined ? undefined : { row, line };
}

function draw(results: Results, { row, line }: Panel): string {
  const contestants = drawn(results, line);
  const values = contestants.map((each) => median(line.cells[each.name]));
  const scale = scaleFor(values.filter((value) => value !== undefined));
  const bottom = PANEL.title + PANEL.line * values.length;
  const every = scale.ticks.length > 4 ? 2 : 1; // labels of five decades would touch
  const grid = scale.ticks.flatMap((tick, i) => [
    `<path d="M${scale.x(tick)} ${PANEL.title - 8}V${bottom - 4}" ` +
      `stroke="${GRID}" stroke-opacity="0.3"/>`,
    i % every ? "" : text(scale.x(tick), bottom + 11, withUnit(tick, row, true), "small", "middle"),
  ]);
  const lines = contestants.map((each, i) => {
    const y = PANEL.title + PANEL.line * i + 5;
    const ours = each.name === results.ours;
    const style = ours ? "ours" : "";
    const label = text(PANEL.labels - 8, y + 4, each.name, style, "end");
    const value = values[i];
    if (value === undefined) return `${label}${text(PANEL.labels + 4, y + 4, "-")}`;
    const x = scale.x(value);
    const colour = ours ? OURS : PEER;
    const fill = each.yardstick ? "none" : colour;
    return [
      label,
      `<path d="M${PANEL.labels} ${y}H${x}" stroke="${colour}" stroke-width="${ours ? 4 : 2}"` +
        `${each.yardstick ? ' stroke-dasharray="3 3"' : ""}/>`,
      `<circle cx="${x}" cy="${y}" r="${ours ? 5 : 4}" fill="${fill}" stroke="${colour}"/>`,
      text(x + 9, y + 4, withUnit(value, row), style),
    ].join("");
  });
  const services = `${line.services.toLocaleString("en-US")} service${line.services > 1 ? "s" : ""}`;
  return [
    `<text x="${PANEL.labels}" y="16"><tspan class="title">${xml(row.title.trim())}</tspan>` +
      `<tspan dx="8">${services}</tspan></text>`,
    ...grid,
    ...lines,
  ].join("\n");
}

/** A peer without a figure gets a dash; a yardstick is left out where it does not apply. */
const drawn = (results: Results, line: Line): readonly Contestant[] =>
  results.contestants.filter((each) => !each.yardstick || each.name in line.cells);

interface Scale {
  readonly ticks: readonly number[];
  x(value: number): number;
}

/** Whole decades around the values; a zero is drawn at the left edge. */
function scaleFor(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const first = Math.floor(Math.log10(Math.min(...positive, 1e6)) - 0.15);
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...positive, 10 ** first))));
  const room = PANEL.width - PANEL.labels - PANEL.values;
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
    x(value) {
      const share = value > 0 ? (Math.log10(value) - first) / (last - first) : 0;
      return Math.round((PANEL.labels + Math.max(0, share) * room) * 10) / 10;
    },
  };
}

/** "1.53 ms", "4.63 s", "24.1 MB"; a tick without needless digits. */
function withUnit(value: number, row: Row, tick = false): string {
  const seconds = row.unit === "ms" && value >= 1000;
  const number = seconds ? value / 1000 : value;
  const digits = tick ? String(Number(number.toPrecision(1))) : figure(number);
  return `${digits} ${seconds ? "s" : row.unit}`;
}

function footer({ machine, contestants }: Results, height: number): string[] {
  const versions = contestants
    .filter((each) => !each.yardstick)
    .map((each) => `${each.name} ${each.version}`)
    .join(", ");
  const where =
    `${machine.date.slice(0, 10)}, ${machine.cores} cores (${machine.cpu}), ` +
    `Linux ${machine.kernel}. Dashed: a yardstick, not a supervisor.`;
  return [
    text(MARGIN.x, height - 30, versions, "small"),
    text(MARGIN.x, height - 13, `${where} How it was measured: scripts/bench.ts`, "small"),
  ];
}

function text(x: number, y: number, content: string, style = "", anchor = "start"): string {
  const attributes = `${style ? ` class="${style}"` : ""}${anchor === "start" ? "" : ` text-anchor="${anchor}"`}`;
  return `<text x="${x}" y="${y}"${attributes}>${xml(content)}</text>`;
}

const xml = (raw: string): string =>
  raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
