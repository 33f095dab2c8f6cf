/** Pages are run as a reader would, and a page that is wrong is found out. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { complaints, runPage } from "../lib/documented.ts";
import { parsePage } from "../lib/page.ts";
import { lives } from "../lib/processes.ts";

const FENCE = "```";

async function play(text: string, seconds?: number): Promise<string[]> {
  const page = parsePage(text);
  expect(page.faults).toEqual([]);
  return complaints("page.md", await runPage(page, seconds));
}

const console_ = (...lines: string[]) => [`${FENCE}console`, ...lines, FENCE, ""].join("\n");

/** What each command of a page prints. */
async function said(text: string): Promise<string[]> {
  const { outputs, trouble } = await runPage(parsePage(text));
  expect(trouble).toBeNull();
  return [...outputs.values()].map((lines) => lines.join("\n"));
}

test("a page that is right has no complaint", async () => {
  expect(
    await play(console_("$ echo a; echo b >&2", "a", "b", "$ false", "$ echo $?", "1")),
  ).toEqual([]);
});

test("a wrong output is shown with page, line, what was expected and what came", async () => {
  const text = `Text\n\n${console_("$ true", "$ echo b", "a")}`;
  expect(await play(text)).toEqual(["page.md:5: $ echo b\n  expected:\n    a\n  got:\n    b"]);
});

test.each([
  ["too much", ["$ echo a"]],
  ["too little", ["$ true", "a"]],
])("%s is wrong, too", async (_, lines) => {
  expect(await play(console_(...lines))).toHaveLength(1);
});

test("variables, functions, jobs and the directory go on from block to block", async () => {
  const text = [
    console_("$ a=1; f() { echo f$a; }; mkdir d; cd d; sleep 60 & b=$!"),
    console_("$ f; pwd; kill $b; wait $b 2>&-; echo $?", "f1", "/tmp/try/d", "143"),
    "<!-- run: a=2 -->",
    console_("$ f", "f2"),
  ].join("\n");
  expect(await play(text)).toEqual([]);
});

test("what stands between two commands does not change $?", async () => {
  expect(
    await said(`${console_("$ (exit 7)")}<!-- run: true -->\n${console_("$ echo $?")}`),
  ).toEqual(["", "7"]);
});

test("files are written where they stand, programs with their mode", async () => {
  const text = [
    "<!-- file: services/a -->",
    `${FENCE}sh\n#!/bin/sh\necho "a's"\n${FENCE}`,
    console_("$ services/a; ls; test -x services/a && rm services/a", "a's", "services"),
    "<!-- file: b -->",
    `${FENCE}\nb\n${FENCE}`,
    console_("$ cat b; test -x b || ls", "b", "b", "services"),
  ].join("\n");
  expect(await play(text)).toEqual([]);
});

test("our programs are found, with places of their own", async () => {
  expect(await said(console_("$ sysmgr -V; echo $SYSDIR $RUNDIR; ls -A"))).toEqual([
    expect.stringMatching(/^sysmgr \S+\n\/tmp\/try\/services \/tmp\/try\/run\nservices$/),
  ]);
});

test("what a job in the background prints while it is waited for belongs to its command", async () => {
  const text = `${console_("$ { until [ -e go ]; do sleep 0.1; done; echo late; touch gone; } &")}
<!-- run: echo hidden; touch go; until [ -e gone ]; do sleep 0.1; done -->
${console_("$ echo next")}`;
  expect(await said(text)).toEqual(["late", "next"]);
});

test("^C reaches the whole last job, and waits for it", async () => {
  const job = `sh -c 'trap "sleep 0.1; echo int; exit" INT; touch up; while :; do sleep 0.1; done' | cat`;
  const text = `${console_(`$ ${job} &`)}
<!-- run: until [ -e up ]; do sleep 0.1; done -->
${console_("$ ^C", "$ echo after")}`;
  expect(await said(text)).toEqual(["", "", "after"]);
  const alone = text.replace(" | cat", "");
  expect(await said(alone)).toEqual(["", "int", "after"]);
});

test("a hidden command that fails ends the page, and says what it said", async () => {
  const text = `${console_("$ true")}\n<!-- run: echo oh >&2; false -->\n${console_("$ true")}`;
  expect(await play(text)).toEqual(["page.md: line 5: here it has ended: oh"]);
});

test("a page that ends too early, or cannot be parsed by sh, is wrong", async () => {
  expect(await play(console_("$ exit", "$ true"))).toContain("page.md: line 2: here it has ended");
  expect(await play(console_("$ true", "$ if"))).toContain("page.md: line 3: here it has ended");
});

test("a page that hangs is ended", async () => {
  expect(await play(console_("$ sleep 1000"), 5)).toEqual([
    expect.stringMatching(/^page.md: line 2: not done after 5 s$/),
  ]);
});

test("nothing is left behind, whatever it did to its environment or its directory", async () => {
  const text = console_(
    "$ setsid sleep 1000 & echo $!",
    "$ (cd /; exec sleep 1000 >/dev/null 2>&1) & echo $!",
    "$ (cd /; exec env -i sleep 1000) & echo $!",
    "$ env -i sleep 1000 >/dev/null 2>&1 & echo $!",
  );
  const pids = (await said(text)).map(Number);
  expect(pids.map((pid) => pid > 1)).toEqual([true, true, true, true]);
  expect(pids.filter(lives)).toEqual([]);
});

test("its terminal is none of the commands'", async () => {
  expect(await said(console_("$ test -t 0 || test -t 1 || test -t 2 || cat"))).toEqual([""]);
  expect(existsSync("/tmp/try")).toBeFalse();
});
