/**
 * usage: docs.ts [--write] PAGE...
 *
 * Runs pages of documentation as their test does (test/lib/documented.ts), and prints them, or
 * writes them in place, with the real output of each command that has not printed what the page
 * shows. Says what else is wrong with them on standard error; exits with 1 then.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runPage } from "../test/lib/documented.ts";
import { agree } from "../test/lib/normal.ts";
import { parsePage, withOutputs } from "../test/lib/page.ts";

const { values, positionals } = parseArgs({
  options: { write: { type: "boolean", default: false } },
  allowPositionals: true,
});

function complain(text: string): void {
  console.error(text);
  process.exitCode = 1;
}

// What a page has started ends with us.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

for (const path of positionals) {
  const page = parsePage(readFileSync(path, "utf8"));
  for (const { line, what } of page.faults) complain(`${path}:${line}: ${what}`);
  for (const { line, reason } of page.notRun) console.error(`${path}:${line}: not run: ${reason}`);
  const { outputs, trouble } = await runPage(page);
  if (trouble !== null) complain(`${path}: ${trouble}`);
  const others = [...outputs].filter(([command, got]) => !agree(command.expected, got));
  const text = withOutputs(page, new Map(others));
  if (values.write) writeFileSync(path, text);
  else process.stdout.write(text);
}
