/** The picture of `svctl graph`: columns of services, each to the left of what it needs. Pure. */
import type { Node } from "./graph.ts";
import { box, CHARACTER, document, element, shorten, text } from "./svg.ts";

type Place = { x: number; y: number };

const HEIGHT = 24;
const ROW = 34;
const GAP = 90;
const MARGIN = 24;
const HEADER = 56;
const LONGEST = 28;
const SWEEPS = 6;
/** Those without dependencies stand below, in a block about this wide. */
const BLOCK = 900;

type Edge = { readonly from: string; readonly to: string; readonly back: boolean };

export function draw(nodes: readonly Node[]): string {
  const edges = edgesOf(nodes);
  const linked = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const columns = arrange(
    nodes.filter((n) => linked.has(n.name)),
    edges,
  );
  const longest = Math.max(4, ...nodes.map((n) => Math.min(LONGEST, [...n.name].length)));
  const width = longest * CHARACTER + 16;
  const places = new Map<string, Place>();
  const tallest = Math.max(0, ...columns.map((column) => column.length));
  for (const [i, column] of columns.entries()) {
    const top = HEADER + ((tallest - column.length) * ROW) / 2;
    for (const [j, name] of column.entries()) {
      places.set(name, { x: MARGIN + i * (width + GAP), y: top + j * ROW });
    }
  }
  const alone = nodes.filter((n) => !linked.has(n.name));
  const top = HEADER + tallest * ROW + (tallest > 0 && alone.length > 0 ? 30 : 0);
  const perRow = Math.max(1, columns.length, Math.floor(BLOCK / (width + 12)));
  for (const [i, { name }] of alone.entries()) {
    const [row, column] = [Math.floor(i / perRow), i % perRow];
    places.set(name, { x: MARGIN + column * (width + 12), y: top + row * ROW });
  }
  const right = Math.max(480, ...[...places.values()].map((p) => p.x + width)) + MARGIN;
  const bottom = Math.max(HEADER, ...[...places.values()].map((p) => p.y + HEIGHT)) + MARGIN;
  const title = `${nodes.length} services, ${edges.length} dependencies`;
  return document(right, bottom, title, [
    element(
      "defs",
      {},
      element(
        "marker",
        {
          id: "arrow",
          viewBox: "0 0 8 8",
          refX: 8,
          refY: 4,
          markerWidth: 7,
          markerHeight: 7,
          orient: "auto",
        },
        element("path", { d: "M0 0 L8 4 L0 8 z", fill: "#8c959f" }),
      ),
    ),
    text(MARGIN, 28, title, { class: "title" }),
    text(MARGIN, 44, "an arrow leads from a service to what it needs", { class: "small" }),
    ...edges.map((edge) => arrow(edge, places, width)),
    ...nodes.map((node) => drawNode(node, places.get(node.name), width)),
  ]);
}

function drawNode(node: Node, place: Place | undefined, width: number): string {
  const { x, y } = place ?? { x: 0, y: 0 };
  const state = node.state ?? "unknown to sysmgr";
  const hint = [`${node.name}: ${state}`, ...node.needs.map((n) => `needs ${n}`)].join("\n");
  const kind = `box ${node.state ?? "none"}`;
  return (
    box({ x, y, width, height: HEIGHT }, kind, hint, { rx: 4 }) +
    text(x + 8, y + 16, shorten(node.name, LONGEST))
  );
}

function arrow(
  { from, to, back }: Edge,
  places: ReadonlyMap<string, Place>,
  width: number,
): string {
  const [a, b] = [places.get(from), places.get(to)];
  if (!a || !b) return "";
  const [x1, y1] = [a.x + width, a.y + HEIGHT / 2];
  const [x2, y2] = [b.x, b.y + HEIGHT / 2];
  // One that leads back goes around.
  const bend = back ? 80 : Math.max(30, (x2 - x1) / 2);
  const points = [x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2].map((n) => Math.round(n));
  const [p, q, r, s, t, u, v, w] = points;
  const d = `M${p} ${q} C${r} ${s} ${t} ${u} ${v} ${w}`;
  return element("path", { d, class: back ? "edge cycle" : "edge", "marker-end": "url(#arrow)" });
}

/** An edge that closes a cycle, in the order of a search in depth, leads back. */
function edgesOf(nodes: readonly Node[]): Edge[] {
  const needs = new Map(nodes.map((n) => [n.name, n.needs]));
  const edges: Edge[] = [];
  const done = new Set<string>();
  const open = new Set<string>();
  const visit = (from: string) => {
    open.add(from);
    for (const to of needs.get(from) ?? []) {
      edges.push({ from, to, back: open.has(to) });
      if (!open.has(to) && !done.has(to)) visit(to);
    }
    open.delete(from);
    done.add(from);
  };
  for (const { name } of nodes) if (!done.has(name)) visit(name);
  return edges;
}

/** Columns from left to right: each service is left of all that it needs, edges cross little. */
function arrange(nodes: readonly Node[], edges: readonly Edge[]): string[][] {
  const ahead = edges.filter((e) => !e.back);
  const needs = grouped(
    ahead,
    (e) => e.from,
    (e) => e.to,
  );
  const neededBy = grouped(
    ahead,
    (e) => e.to,
    (e) => e.from,
  );
  const depths = new Map<string, number>();
  const depth = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    const found = Math.max(-1, ...(needs.get(name) ?? []).map(depth)) + 1;
    depths.set(name, found);
    return found;
  };
  const deepest = Math.max(-1, ...nodes.map((n) => depth(n.name)));
  const columns: string[][] = Array.from({ length: deepest + 1 }, () => []);
  for (const { name } of nodes) columns[deepest - depth(name)]?.push(name);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const neighbours = sweep % 2 === 0 ? neededBy : needs;
    const ranks = rank(columns);
    for (const column of sweep % 2 === 0 ? columns : columns.toReversed()) {
      sortByMean(column, neighbours, ranks);
      for (const [i, name] of column.entries()) ranks.set(name, i / column.length);
    }
  }
  return columns;
}

function grouped(
  edges: readonly Edge[],
  key: (e: Edge) => string,
  value: (e: Edge) => string,
): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const edge of edges) groups.set(key(edge), [...(groups.get(key(edge)) ?? []), value(edge)]);
  return groups;
}

function rank(columns: readonly string[][]): Map<string, number> {
  return new Map(
    columns.flatMap((column) =>
      column.map((name, i): [string, number] => [name, i / column.length]),
    ),
  );
}

function sortByMean(
  column: string[],
  neighbours: ReadonlyMap<string, string[]>,
  ranks: ReadonlyMap<string, number>,
): void {
  const mean = (name: string) => {
    const own = neighbours.get(name) ?? [];
    if (own.length === 0) return ranks.get(name) ?? 0;
    return own.reduce((sum, n) => sum + (ranks.get(n) ?? 0), 0) / own.length;
  };
  const means = new Map(column.map((name) => [name, mean(name)]));
  column.sort((a, b) => (means.get(a) ?? 0) - (means.get(b) ?? 0));
}
