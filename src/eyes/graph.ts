/** svctl graph: who has asked for whom in this life, as a tree, for dot(1), or as a picture. */
import { out, UsageError } from "../cli.ts";
import { Census } from "./census.ts";
import { openRundir, plainText, refuseNames, utf8, type View } from "./eye.ts";
import { draw } from "./graph-svg.ts";

export const usage = `usage: svctl graph [--dot | --svg]

Print the dependencies that sysmgr-depends has seen, below each service what it needs.

  --dot          for dot(1)
  --svg          as a picture: svctl graph --svg >graph.svg
  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = { boolean: ["dot", "svg"] };

/** A service, its state (none: sysmgr does not know it), and what it needs; all as text. */
export type Node = {
  readonly name: string;
  readonly state: string | null;
  readonly needs: readonly string[];
};

export function run(view: View): number {
  refuseNames(view, "graph");
  const { options } = view;
  if (options.has("dot") && options.has("svg")) throw new UsageError("--dot or --svg, not both");
  const rundir = openRundir(view.rundir);
  const all = new Census(rundir, "once").look();
  const nodes = complete(
    all.map(({ name, status }) => ({
      name: plainText(name),
      state: status?.state ?? null,
      needs: rundir.depends(name).map(plainText).sort(),
    })),
  );
  const format = options.has("dot") ? dot : options.has("svg") ? draw : tree;
  out(utf8(format(nodes)));
  return 0;
}

/** With those that are asked for and not there. */
export function complete(nodes: readonly Node[]): Node[] {
  const known = new Set(nodes.map(({ name }) => name));
  const missing = new Set(nodes.flatMap(({ needs }) => needs).filter((name) => !known.has(name)));
  return [...nodes, ...[...missing].sort().map((name) => ({ name, state: null, needs: [] }))];
}

// ---------------------------------------------------------------------- tree

/** Those that nobody needs, with what they need below; at last those without any dependency. */
export function tree(nodes: readonly Node[]): string {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const needed = new Set(nodes.flatMap(({ needs }) => needs));
  const seen = new Set<string>();
  const lines: string[] = [];
  const print = (name: string, first: string, further: string, above: readonly string[]) => {
    const node = byName.get(name);
    const needs = node?.needs ?? [];
    const isCycle = above.includes(name);
    const isRepeated = seen.has(name) && needs.length > 0;
    const note = isCycle ? " (cycle)" : isRepeated ? " (see above)" : "";
    lines.push(`${first}${name}: ${node?.state ?? "unknown"}${note}\n`);
    if (isCycle || isRepeated) return;
    seen.add(name);
    for (const [i, need] of needs.entries()) {
      const isLast = i === needs.length - 1;
      const [branch, rest] = isLast ? ["`-- ", "    "] : ["|-- ", "|   "];
      print(need, further + branch, further + rest, [...above, name]);
    }
  };
  const withNeeds = nodes.filter(({ needs }) => needs.length > 0);
  const roots = withNeeds.filter(({ name }) => !needed.has(name));
  // What is left after these hangs in a cycle: any member of it may be on top.
  for (const { name } of [...roots, ...withNeeds]) if (!seen.has(name)) print(name, "", "", []);
  for (const { name } of nodes) if (!seen.has(name)) print(name, "", "", []);
  return lines.join("");
}

// ----------------------------------------------------------------------- dot

const COLOURS: Readonly<Record<string, string>> = {
  up: "palegreen",
  starting: "khaki",
  stopping: "orange",
  finishing: "plum",
  backoff: "lightcoral",
  failed: "red",
  down: "lightgrey",
};

export function dot(nodes: readonly Node[]): string {
  const boxes = nodes.map(({ name, state }) => {
    const colour = COLOURS[state ?? ""] ?? "white";
    return `  ${quote(name)} [fillcolor=${colour}];\n`;
  });
  const edges = nodes.flatMap(({ name, needs }) =>
    needs.map((need) => `  ${quote(name)} -> ${quote(need)};\n`),
  );
  const style = "  rankdir=LR;\n  node [shape=box, style=filled];\n";
  return `digraph services {\n${style}${boxes.join("")}${edges.join("")}}\n`;
}

/** Backslashes mean something in labels, which names are unless told otherwise. */
function quote(name: string): string {
  return `"${name.replace(/[\\"]/g, "\\$&")}"`;
}
