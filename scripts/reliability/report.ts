// What was seen, as text and as docs/reliability.md.
import type { Machine } from "../bench/results.ts";
import type { Cell, Cells, Row, Scenario } from "./scenario.ts";

export interface Contestant {
  readonly name: string;
  readonly version: string;
}

export interface Findings {
  readonly machine: Machine;
  readonly command: string;
  /** We come first. */
  readonly contestants: readonly Contestant[];
  readonly scenarios: readonly Scenario[];
  /** By the id of the scenario and the name of the contestant. */
  readonly cells: ReadonlyMap<string, Cells>;
}

export const key = (scenario: Scenario, name: string): string => `${scenario.id} ${name}`;

/** Less than this apart (s), two times are the same: all peers run at once. */
const ALIKE = 0.5;

export function toText(findings: Findings): string {
  const { contestants, scenarios } = findings;
  const width = Math.max(...contestants.map(({ name }) => name.length));
  const lines = (scenario: Scenario): string[] =>
    scenario.rows.flatMap((row) => [
      `  ${row.title}`,
      ...contestants.map(
        ({ name }) => `    ${name.padEnd(width)}  ${cell(findings, scenario, row, name).words}`,
      ),
    ]);
  return [
    headline(findings),
    ...scenarios.flatMap((scenario) => ["", scenario.title, ...lines(scenario)]),
    "",
    ...losses(findings),
  ].join("\n");
}

export function toMarkdown(findings: Findings): string {
  return [
    "# Reliability: what happens to the services",
    "",
    "Written by `scripts/reliability.ts`; do not edit. Every word in the table was measured in one",
    "run, on processes that the script started, with faults that it made.",
    "",
    headline(findings),
    "",
    `Again, as root: \`${findings.command}\``,
    "",
    ...table(findings),
    "",
    "## Where sysmgr is not the best",
    "",
    ...losses(findings).map((line) => `- ${line}`),
    "",
    "## How each fault was made, and what was looked at",
    "",
    "A service is a sh script that appends its name, pid and start time to a file, then becomes",
    "`sleep`. The script looks at that file and at /proc every 10 ms; a process counts as the same",
    "only if its start time is the same, too. All supervisors are tried at the same time, except",
    "where it says otherwise: times say what happens, not who is faster (that is `make bench`).",
    "Each has the settings of `make bench` (`scripts/bench/peers/`).",
    "",
    ...findings.scenarios.flatMap((scenario) => [
      `### ${scenario.title}`,
      "",
      wrap(`${scenario.alone ? "One supervisor after the other. " : ""}${scenario.produced}`),
      "",
      wrap(`Looked at: ${decapitalize(scenario.looked)}`),
      "",
    ]),
  ]
    .join("\n")
    .replace(/\n+$/, "\n");
}

function headline({ machine, contestants }: Findings): string {
  const versions = contestants.map(({ name, version }) => `${name} ${version}`).join(", ");
  return wrap(
    `${machine.date} UTC; ${machine.cores} cores (${machine.cpu}), ${machine.memoryGB} GB, ` +
      `Linux ${machine.kernel}, load ${machine.loadBefore.toFixed(2)} before the run; ${versions}.`,
  );
}

function table(findings: Findings): string[] {
  const { contestants, scenarios } = findings;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const names = contestants.map(({ name }) => name);
  return [
    line(["", ...names]),
    line(["---", ...names.map(() => "---")]),
    ...scenarios.flatMap((scenario) => [
      line([`**${scenario.title}**`, ...names.map(() => "")]),
      ...scenario.rows.map((row) =>
        line([row.title, ...names.map((name) => cell(findings, scenario, row, name).words)]),
      ),
    ]),
  ];
}

/** One line for each row in which somebody did better than we. */
function losses(findings: Findings): string[] {
  const lines = findings.scenarios.flatMap((scenario) =>
    scenario.rows.flatMap((row) => loss(findings, scenario, row)),
  );
  return lines.length > 0 ? lines : ["In none of these."];
}

function loss(findings: Findings, scenario: Scenario, row: Row): string[] {
  const [ours, ...peers] = findings.contestants.map(({ name }) => ({
    name,
    ...cell(findings, scenario, row, name),
  }));
  const cost = ours?.cost;
  if (ours === undefined || cost === undefined) return [];
  const better = peers.filter((peer) => peer.cost !== undefined && peer.cost + ALIKE < cost);
  if (better.length === 0) return [];
  const theirs = better.map(({ name, words }) => `${name}: ${words}`).join("; ");
  return [`${scenario.title}, ${row.title}: ${ours.name}: ${ours.words}; ${theirs}`];
}

function cell({ cells }: Findings, scenario: Scenario, row: Row, name: string): Cell {
  return cells.get(key(scenario, name))?.[row.id] ?? { words: "-" };
}

const decapitalize = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

function wrap(text: string, width = 100): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}
