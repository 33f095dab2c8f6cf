/**
 * check.ts: every program of the table has a usage, a man page and a test, and every man page has
 * the sections people look for and is clean to mandoc. Prints a line per fault; "(skip)" lines say
 * what could not be checked.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Glob } from "bun";
import { type Program, programs } from "../src/programs.ts";

const pages = [...new Glob("man/*.[1-8]").scanSync()].sort();
const tests = [...new Glob("test/**/*.test.ts").scanSync()];

const pageOf = (name: string, { section }: Program) => `man/${name}.${section}`;

/** The program whose test file this is: of two names that fit, svctl and sv, the longer one. */
function tested(file: string): string | undefined {
  return Object.keys(programs)
    .filter((name) => basename(file).startsWith(name))
    .sort((a, b) => b.length - a.length)[0];
}

async function programFaults([name, program]: [string, Program]): Promise<string[]> {
  const usage = (await program.load()).usage.split(/[ \n]/);
  const page = pageOf(name, program);
  const faults: [boolean, string][] = [
    [usage[0] !== "usage:" || usage[1] !== name, `does not begin its usage "usage: ${name}"`],
    [program.summary === "", "no summary"],
    [!pages.includes(page), `no ${page}`],
    [!tests.some((file) => tested(file) === name), `no test/**/${name}*.test.ts`],
  ];
  return faults.filter(([isSo]) => isSo).map(([, fault]) => `${name}: ${fault}`);
}

function pageFaults(page: string): string[] {
  const lines = readFileSync(page, "latin1").split("\n");
  const ofProgram = Object.entries(programs).some((entry) => page === pageOf(...entry));
  const wanted = ["EXAMPLES", "EXIT STATUS", ...(ofProgram ? ["ENVIRONMENT", "FILES"] : [])];
  const missing = wanted.filter((title) => !lines.includes(`.Sh ${title}`));
  return missing.map((title) => `${page}: no section ${title}`);
}

/** Whether mandoc is here, after an attempt to install it where that is possible without asking. */
function haveMandoc(): boolean {
  if (Bun.which("mandoc")) return true;
  if (process.getuid?.() !== 0 || !Bun.which("apt-get")) return false;
  for (const command of [["update"], ["install", "-y", "--no-install-recommends", "mandoc"]]) {
    Bun.spawnSync(["apt-get", "-qq", ...command], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      timeout: 60_000,
    });
  }
  return Bun.which("mandoc") !== null;
}

function mandocFaults(): string[] {
  if (pages.length === 0) return [];
  if (!haveMandoc()) {
    console.log("(skip) man pages: no mandoc here");
    return [];
  }
  const { stdout, stderr } = Bun.spawnSync(["mandoc", "-T", "lint", "-W", "warning", ...pages]);
  return `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
}

const ofPrograms = await Promise.all(Object.entries(programs).map(programFaults));
const faults = [...ofPrograms.flat(), ...pages.flatMap(pageFaults), ...mandocFaults()];
for (const fault of faults) console.log(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
