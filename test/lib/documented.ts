/**
 * Runs a page of documentation (page.ts) as a reader would: from its first command to its last in
 * one sh, which has a terminal of its own, in a directory of its own. There RUNDIR is run, and
 * SYSDIR is services. REPOSITORY leads to ours, for commands that are not shown.
 */
import { mkdtempSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allStats } from "../../src/proc.ts";
import { makeDirectory, read, remove, write } from "./files.ts";
import { agree } from "./normal.ts";
import type { Command, Page, Step } from "./page.ts";
import { environment, kill } from "./processes.ts";
import { BIN } from "./sandbox.ts";
import { until } from "./until.ts";

export const ROOT = join(import.meta.dir, "../..");

/** Where the page is said to have been run: in /tmp anybody may do the same. */
const SHOWN = "/tmp/try";

/** A page that takes longer hangs; on a busy machine each takes long. */
const SECONDS = 180;

export type Run = {
  /** What each command, and what it left in the background, has printed, in lines. */
  readonly outputs: ReadonlyMap<Command, readonly string[]>;
  /** Why it did not come to its end, if it did not. */
  readonly trouble: string | null;
};

export async function runPage(page: Page, seconds = SECONDS): Promise<Run> {
  const dir = mkdtempSync(join(tmpdir(), "sysmgr-docs."));
  const clean = () => {
    while (killAll(dir) > 0);
    remove(dir);
  };
  process.once("exit", clean);
  try {
    prepare(dir, page);
    const late = await play(dir, seconds);
    await until(() => killAll(dir) === 0, "everything is dead");
    const ended = late ? `not done after ${seconds} s` : "here it has ended";
    return { outputs: outputs(dir, page), trouble: trouble(dir, page, ended) };
  } finally {
    process.off("exit", clean);
    clean();
  }
}

/** A line for each thing that is wrong with how it went; path is what the page is called. */
export function complaints(path: string, { outputs, trouble }: Run): string[] {
  const found = trouble === null ? [] : [`${path}: ${trouble}`];
  for (const [command, got] of outputs) {
    if (agree(command.expected, got)) continue;
    const lines = (some: readonly string[]) => some.map((line) => `\n    ${line}`).join("");
    const where = `${path}:${command.line}: $ ${command.text}`;
    found.push(`${where}\n  expected:${lines(command.expected)}\n  got:${lines(got)}`);
  }
  return found;
}

// ------------------------------------------------------------------ the script

function prepare(dir: string, page: Page): void {
  makeDirectory(dir);
  for (const name of ["try", "try/services", "files", "tmp"]) makeDirectory(`${dir}/${name}`);
  page.steps.forEach((step, i) => {
    if (step.kind !== "file") return;
    write(`${dir}/files/${i}`, step.text, step.text.startsWith("#!") ? 0o755 : 0o644);
  });
  write(`${dir}/script`, script(dir, page.steps));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * All in one pair of braces: between the commands of its script a sh with job control reports what
 * became of its jobs. That it has for ctrl-C, which is for a process group, and which is ignored by
 * what other shells start in the background.
 */
function script(dir: string, steps: readonly Step[]): string {
  return `exec </dev/null >>${quote(`${dir}/transcript`)} 2>&1
cd ${quote(`${dir}/try`)} || exit
set -m
documented_keep() { return "$documented_status"; }
documented_status=0
{
${steps.map((step, i) => stepScript(dir, step, i)).join("\n")}
echo done >${quote(`${dir}/at`)}
exit 0
}
`;
}

/** $? is that of the command before, as if nothing was between the two. */
function stepScript(dir: string, step: Step, i: number): string {
  const at = `echo ${i} >${quote(`${dir}/at`)}`;
  if (step.kind === "command") {
    const mark = `printf '\\036${i}\\036' >>${quote(`${dir}/transcript`)}`;
    const text = step.text === "^C" ? "kill -INT %% && wait %%" : step.text;
    return `${at}; ${mark}\ndocumented_keep; eval ${quote(text)}\ndocumented_status=$?`;
  }
  const text = step.kind === "hidden" ? step.text : writing(`${dir}/files/${i}`, step.path);
  const hidden = quote(`${dir}/hidden`);
  return `${at}\n{ documented_keep; eval ${quote(text)}; } >${hidden} 2>&1 || exit`;
}

/** In one step, for whoever watches the directory. */
function writing(from: string, to: string): string {
  const parent = to.includes("/") ? to.replace(/\/[^/]*$/, "") : ".";
  const [file, place] = [quote(`${parent}/.new`), quote(parent)];
  return `mkdir -p ${place} && cp ${quote(from)} ${file} && mv ${file} ${quote(to)}`;
}

// -------------------------------------------------------------------- the run

/** Resolves when the sh has ended: to true if it had to be, after so long. */
async function play(dir: string, seconds: number): Promise<boolean> {
  const page = `${dir}/try`;
  const child = Bun.spawn(["sh", `${dir}/script`], {
    cwd: page,
    env: {
      PATH: `${BIN}:${process.env.PATH}`,
      HOME: page,
      SYSDIR: `${page}/services`,
      RUNDIR: `${page}/run`,
      REPOSITORY: ROOT,
      // Here is what a program makes that must have a place of its own.
      TMPDIR: `${dir}/tmp`,
      XDG_RUNTIME_DIR: `${dir}/tmp`,
      // No page shows that something takes too long.
      SVWAIT: "60",
      LC_ALL: "C",
      TZ: "UTC",
      TERM: "xterm",
    },
    terminal: { cols: 80, rows: 24 },
  });
  let late = false;
  const end = performance.now() + seconds * 1000;
  // More than once: who is being started just then may be missed.
  const timer = setInterval(() => {
    late ||= performance.now() > end;
    if (late) killAll(dir);
  }, 100);
  await child.exited;
  clearInterval(timer);
  child.terminal?.close();
  return late;
}

/** What is wrong, unless the last step was done: how it ended, at which line. */
function trouble(dir: string, page: Page, ended: string): string | null {
  const at = read(`${dir}/at`)?.trim();
  if (at === "done") return null;
  const step = page.steps[Number(at)];
  const said = step?.kind === "command" ? "" : lastWords(read(`${dir}/hidden`) ?? "");
  return `line ${step?.line ?? 1}: ${[ended, said].filter((s) => s !== "").join(": ")}`;
}

/** What was waited for in vain may have said the same very often. */
function lastWords(text: string): string {
  return text.trim().split("\n").slice(-5).join("\n");
}

function outputs(dir: string, page: Page): Map<Command, string[]> {
  // Before any command there is nothing; then number and output take turns.
  const text = Buffer.from(read(`${dir}/transcript`) ?? "", "latin1").toString();
  const pieces = text.split("\x1e").slice(1);
  const found = new Map<Command, string[]>();
  for (let i = 0; i + 1 < pieces.length; i += 2) {
    const step = page.steps[Number(pieces[i])];
    const text = show(dir, pieces[i + 1] ?? "");
    if (step?.kind === "command")
      found.set(step, text === "" ? [] : text.replace(/\n$/, "").split("\n"));
  }
  return found;
}

/** As it would be for somebody who does the same in a shell of their own. */
function show(dir: string, text: string): string {
  return text
    .replaceAll(BIN, "/usr/local/bin")
    .replaceAll(`${dir}/try`, SHOWN)
    .replaceAll(`${dir}/tmp`, "/tmp")
    .replaceAll(/^\S*\/script: (?:line )?\d+: (?:eval: )?/gm, "sh: ");
}

// --------------------------------------------------------------------- the end

function killAll(dir: string): number {
  const left = members(dir);
  for (const pid of left) kill(pid, "SIGKILL");
  return left.length;
}

/** Who has the directory in its environment; or, if it has another one, writes or works there. */
function members(dir: string): number[] {
  return allStats()
    .filter(({ pid, state, kernel }) => state !== "Z" && !kernel && pid !== process.pid)
    .map(({ pid }) => pid)
    .filter((pid) => environment(pid).some((v) => v.includes(dir)) || isIn(pid, dir));
}

function isIn(pid: number, dir: string): boolean {
  return ["cwd", "fd/1", "fd/2"].some((link) => {
    try {
      return readlinkSync(`/proc/${pid}/${link}`).startsWith(dir);
    } catch {
      return false; // gone, or somebody else's
    }
  });
}
