/**
 * dist.ts: builds for every Linux that Bun knows, and packs each into a compressed archive under
 * build/dist/, with SHA256SUMS. An archive is laid out like a PREFIX, so that
 * `tar -xf ARCHIVE --strip-components=1 -C /usr/local` installs it.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Glob } from "bun";
import lock from "../package-lock.json";
import { build } from "./build.ts";

const DIST = "build/dist";

/** Bun's name for the target, the package that holds its executable, and ours for the archive. */
const TARGETS = [
  { target: "bun-linux-x64", runtime: "@oven/bun-linux-x64", name: "linux-x64" },
  { target: "bun-linux-arm64", runtime: "@oven/bun-linux-aarch64", name: "linux-arm64" },
  { target: "bun-linux-x64-musl", runtime: "@oven/bun-linux-x64-musl", name: "linux-x64-musl" },
  {
    target: "bun-linux-arm64-musl",
    runtime: "@oven/bun-linux-aarch64-musl",
    name: "linux-arm64-musl",
  },
] as const;

function run(...command: string[]): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`cannot ${command.join(" ")}:\n${stdout}${stderr}`);
}

/**
 * Returns the path of the Bun executable of a package, fetched at the first need. Bun would fetch
 * it by itself, but without checking it; the lock file knows its hash, so npm fetches and we check.
 */
function runtime(name: (typeof TARGETS)[number]["runtime"]): string {
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  const directory = `build/runtime/${basename(name)}-${version}`;
  const executable = join(directory, "package/bin/bun");
  if (existsSync(executable)) return executable;

  mkdirSync(directory, { recursive: true });
  run("npm", "pack", "--silent", `--pack-destination=${directory}`, `${name}@${version}`);
  const archive = join(directory, `${name.slice(1).replace("/", "-")}-${version}.tgz`);
  const found = new Bun.CryptoHasher("sha512").update(readFileSync(archive)).digest("base64");
  if (integrity !== `sha512-${found}`)
    throw new Error(`${archive}: not what package-lock.json names`);
  run("tar", "-xzf", archive, "-C", directory);
  rmSync(archive);
  return executable;
}

/** Where each shell looks for completions, below share/. */
const COMPLETIONS = {
  "svctl.bash": "bash-completion/completions/svctl",
  _svctl: "zsh/site-functions/_svctl",
  "svctl.fish": "fish/vendor_completions.d/svctl.fish",
};

/** Copies everything but the programs below a prefix. */
function copyDocs(prefix: string): void {
  for (const page of new Glob("*.[1-8]").scanSync("man")) {
    cpSync(join("man", page), join(prefix, `share/man/man${page.at(-1)}`, page));
  }
  for (const [file, place] of Object.entries(COMPLETIONS)) {
    cpSync(join("completions", file), join(prefix, "share", place));
  }
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    cpSync(file, join(prefix, "share/doc/sysmgr", file));
  }
}

/** Packs DIST/name; returns the archive's name. The same tree gives the same bytes, with GNU tar. */
function pack(name: string): string {
  const gnu = Bun.spawnSync(["tar", "--version"]).stdout.includes("GNU tar");
  const same = gnu
    ? [
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mtime=@0",
        "--mode=go=rX,u+rw",
      ]
    : [];
  const [flag, suffix] = Bun.which("xz") ? ["-J", "xz"] : ["-z", "gz"];
  const archive = `${name}.tar.${suffix}`;
  run("tar", "-c", flag, "-f", join(DIST, archive), ...same, "-C", DIST, name);
  return archive;
}

try {
  rmSync(DIST, { recursive: true, force: true });
  const sums: string[] = [];
  for (const { target, runtime: from, name } of TARGETS) {
    const tree = `sysmgr-${lock.version}-${name}`;
    const prefix = join(DIST, tree);
    build(join(prefix, "bin/sysmgr"), { name: target, runtime: runtime(from) });
    copyDocs(prefix);
    const archive = pack(tree);
    rmSync(prefix, { recursive: true });
    const bytes = readFileSync(join(DIST, archive));
    sums.push(`${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}  ${archive}\n`);
    console.log(`${join(DIST, archive)}: ${(bytes.length / 1e6).toFixed(1)} MB`);
  }
  writeFileSync(join(DIST, "SHA256SUMS"), sums.join(""));
} catch (error) {
  console.error(`dist: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
