/** build.ts: compiles src/main.ts to build/bin/sysmgr and makes a link beside it per program. */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { programs } from "../src/programs.ts";

const FLAGS = [
  "--compile",
  "--minify",
  "--bytecode", // 1 ms off the start of every program
  // And half a one more: a program reads its own chunk, not all programs.
  "--format=esm",
  "--splitting",
  // What most programs do in their few milliseconds never repays its compilation.
  "--compile-jit-policy=100",
  // A program run by root in somebody's directory must not run that directory's bunfig.toml
  // (preload), nor take variables or paths from its .env, tsconfig.json or package.json.
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
  // "strict" also makes BUN_OPTIONS="--preload x.ts" in the environment an error.
  "--compile-exec-argv=--disallow-code-generation-from-strings=strict",
];

/** A platform to build for: the name of Bun's target, and the Bun executable to build it on. */
export type Target = { name: string; runtime: string };

/**
 * Compiles src/main.ts to outfile, for this machine unless a target is given, and makes a relative
 * link per program beside it. Throws with the compiler's own words. The binary comes last and by
 * rename, so that it is whole, and is newer than the links, whenever it is there.
 */
export function build(outfile: string, target?: Target): void {
  const began = new Date();
  const directory = dirname(outfile);
  mkdirSync(directory, { recursive: true });
  const half = join(directory, ".sysmgr.new");
  const cross = target
    ? [`--target=${target.name}`, `--compile-executable-path=${target.runtime}`]
    : [];
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [process.execPath, "build", ...FLAGS, ...cross, `--outfile=${half}`, "src/main.ts"],
    { cwd: join(import.meta.dir, "..") },
  );
  if (exitCode !== 0) {
    rmSync(half, { force: true });
    throw new Error(`cannot compile src/main.ts:\n${stdout}${stderr}`);
  }
  link(directory);
  // Its time is that of the sources it has read: one that changed meanwhile is newer.
  utimesSync(half, began, began);
  renameSync(half, outfile);
}

/** Leaves exactly one link to sysmgr in directory for every other program of the table. */
function link(directory: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (lstatSync(path).isSymbolicLink()) rmSync(path);
  }
  for (const name of Object.keys(programs)) {
    if (name !== "sysmgr") symlinkSync("sysmgr", join(directory, name));
  }
}

if (import.meta.main) {
  try {
    build("build/bin/sysmgr");
    console.log(`build/bin: ${Object.keys(programs).join(" ")}`);
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
