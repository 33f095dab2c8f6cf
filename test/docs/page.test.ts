/** What is taken for a command, and what for its output. */
import { expect, test } from "bun:test";
import { parsePage, withOutputs } from "../lib/page.ts";

const page = (...lines: string[]) => parsePage(`${lines.join("\n")}\n`);
const block = (language: string, ...lines: string[]) => [`\`\`\`${language}`, ...lines, "```"];
const faults = (...lines: string[]) =>
  page(...lines).faults.map(({ line, what }) => `${line}: ${what}`);

test("commands have their lines, their continuations and their outputs", () => {
  const { steps, faults } = page(
    "Text.",
    "",
    ...block("console", "$ cat <<END", "> a", ">", "> END", "a", "", "$ true", "$ echo b", "b"),
  );
  expect(faults).toEqual([]);
  expect(steps).toEqual([
    {
      kind: "command",
      line: 4,
      text: "cat <<END\na\n\nEND",
      expected: ["a", ""],
      indent: "",
      from: 7,
    },
    { kind: "command", line: 10, text: "true", expected: [], indent: "", from: 10 },
    { kind: "command", line: 11, text: "echo b", expected: ["b"], indent: "", from: 11 },
  ]);
});

test("a block in a list is indented, and its lines are not", () => {
  const { steps, faults } = page("- Item", "", "  ```console", "  $ ls", "    a", "  ```");
  expect(faults).toEqual([]);
  expect(steps).toMatchObject([{ text: "ls", expected: ["  a"], indent: "  " }]);
});

test("a block ends with as many fences as it began with", () => {
  const { steps, faults } = page("````console", "$ cat page", "```", "````");
  expect(faults).toEqual([]);
  expect(steps).toMatchObject([{ expected: ["```"] }]);
});

test("hidden commands and files stand in their places among the commands", () => {
  const { steps, faults, needs } = page(
    "<!-- needs: make awk -->",
    "<!-- run: mkdir a -->",
    "<!-- run: while :; do",
    "  break",
    "done -->",
    "<!-- file: a/run -->",
    ...block("sh", "#!/bin/sh", "exit"),
    ...block("console", "$ a/run"),
  );
  expect(faults).toEqual([]);
  expect(needs).toEqual(["make", "awk"]);
  expect(steps).toMatchObject([
    { kind: "hidden", line: 2, text: "mkdir a" },
    { kind: "hidden", line: 3, text: "while :; do\n  break\ndone" },
    { kind: "file", line: 7, path: "a/run", text: "#!/bin/sh\nexit\n" },
    { kind: "command", text: "a/run" },
  ]);
});

test("hidden commands may stand between those of a block", () => {
  const { steps, faults } = page(
    "<!-- before 2: b -->",
    "<!-- before 2: c -->",
    ...block("console", "$ a", "1", "$ d"),
  );
  expect(faults).toEqual([]);
  expect(steps.map((step) => step.kind !== "file" && step.text)).toEqual(["a", "b", "c", "d"]);
  expect(steps[0]).toMatchObject({ line: 4, expected: ["1"] });
});

test("what is not run is told, with its reason", () => {
  const { steps, notRun, faults } = page(
    "<!-- not run: no docker -->",
    ...block("console", "$ docker run it"),
    "<!-- not run: needs root -->",
    ...block("sh", "reboot"),
  );
  expect({ steps, faults }).toEqual({ steps: [], faults: [] });
  expect(notRun).toEqual([
    { line: 1, reason: "no docker" },
    { line: 5, reason: "needs root" },
  ]);
});

test("a block may be that of a file of the repository, and be written", () => {
  const { steps, same, faults } = page(
    "<!-- same: examples/web -->",
    "<!-- file: web -->",
    ...block("sh", "exec web"),
  );
  expect(faults).toEqual([]);
  expect(same).toMatchObject([{ path: "examples/web", text: "exec web\n" }]);
  expect(steps).toMatchObject([{ kind: "file", path: "web" }]);
});

test.each([
  ["commands that nobody runs", block("sh", "ls"), "1: commands that nobody runs (sh)"],
  ["the same in bash", block("bash", "ls"), "1: commands that nobody runs (bash)"],
  [
    "commands in a block without a language",
    block("", "$ ls"),
    "1: commands in a block that is not of the language console",
  ],
  ["an indented block", ["Text", "", "    ls"], "3: an indented block: put it between fences"],
  ["a block that begins with output", block("console", "a"), "1: does not begin with a command"],
  ["an empty block", block("console"), "1: does not begin with a command"],
  ["a block without an end", ["```console", "$ ls"], "1: a block without an end"],
  [
    "an annotation without a block",
    ["<!-- file: a -->", "Text"],
    '1: no block right after "file:"',
  ],
  [
    "an annotation a line too early",
    ["<!-- file: a -->", "", ...block("sh", "ls")],
    '1: no block right after "file:"',
  ],
  ["a misspelt annotation", ["<!-- runs: ls -->"], "1: not understood: <!-- runs: ls -->"],
  [
    "a hidden command before none",
    ["<!-- before 2: a -->", ...block("console", "$ b")],
    '1: no command for "before 2:"',
  ],
  ["an annotation without a value", ["<!-- not run: -->"], '1: nothing after "not run:"'],
])("%s is a fault", (_, lines, fault) => {
  expect(faults(...lines)[0]).toBe(fault);
});

test("lists, other comments and other languages are no faults", () => {
  expect(faults("- a", "", "    b", "", "<!-- a note -->", ...block("ini", "[a]"))).toEqual([]);
});

test("links are found outside of blocks and code", () => {
  const { links } = page(
    '[a](b.md), ![c](d.svg "title") and `[e](f)`; [![g](h.svg)](i.md#j)',
    ...block("", "[k](l)"),
  );
  expect(links.map(({ target }) => target).sort()).toEqual(["b.md", "d.svg", "i.md#j"]);
});

test("other outputs take the place of what was expected", () => {
  const parsed = page(
    ...block("console", "$ a", "1", "2", "$ b", "$ c", "3"),
    "",
    "- d",
    "  ```console",
    "  $ e",
    "  ```",
  );
  const output = new Map([
    ["a", ["x"]],
    ["b", ["y", "z"]],
    ["e", ["", "w"]],
  ]);
  const commands = parsed.steps.filter((step) => step.kind === "command");
  const outputs = new Map(
    commands.flatMap((c) => (output.has(c.text) ? [[c, output.get(c.text) ?? []] as const] : [])),
  );
  expect(withOutputs(parsed, outputs).split("\n")).toEqual([
    ...block("console", "$ a", "x", "$ b", "y", "z", "$ c", "3"),
    "",
    "- d",
    "  ```console",
    "  $ e",
    "",
    "  w",
    "  ```",
    "",
  ]);
});
