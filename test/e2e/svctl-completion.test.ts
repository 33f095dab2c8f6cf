/** What the Tab key brings in bash, zsh and fish, and that each file is where its shell looks. */
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { list, read, remove } from "../lib/files.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const ROOT = join(import.meta.dir, "../..");
const FILES = `${ROOT}/completions`;

const has = (shell: string) => Bun.which(shell) !== null;

async function services(box: Sandbox): Promise<void> {
  for (const name of ["web", "web-2", "db", "a $b"]) box.service(name);
  await box.start();
  const known = () => list(box.rundir).filter((n) => list(`${box.rundir}/${n}`).includes("pid"));
  await until(() => known().length === 4, "all are known");
}

const env = { PATH: `${BIN}:${process.env.PATH}`, HOME: "/nonexistent" };

/** What bash would offer for the last of these words. */
async function inBash(box: Sandbox, ...words: string[]): Promise<string[]> {
  const script = `. ${FILES}/svctl.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _svctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { out, err } = await box.run(["bash", "--norc", "-c", script, "bash", ...words], { env });
  expect(err).toBe("");
  return out
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

patientScenario(
  "bash: operations, options and the names of services",
  async (box) => {
    await services(box);
    expect(await inBash(box, "svctl", "re")).toEqual(["ready", "reload", "restart"]);
    expect(await inBash(box, "svctl", "start", "w")).toEqual(["web", "web-2"]);
    expect(await inBash(box, "svctl", "-t", "3", "stop", "db", "web-")).toEqual(["web-2"]);
    expect(await inBash(box, "svctl", "logs", "a")).toEqual(["a\\ \\$b"]);
    expect(await inBash(box, "svctl", "top", "--so")).toEqual(["--sort"]);
    expect(await inBash(box, "svctl", "top", "--sort", "c")).toEqual(["cpu"]);
    expect(await inBash(box, "svctl", "graph", "")).toEqual([]);
    expect(await inBash(box, "svctl", "-r", `${box.dir}/nowhere`, "start", "w")).toEqual([]);
  },
  has("bash"),
);

patientScenario(
  "fish: the same",
  async (box) => {
    await services(box);
    const complete = async (line: string) => {
      const script = `source ${FILES}/svctl.fish; complete -C '${line}'`;
      const { out } = await box.run(["fish", "--no-config", "-c", script], {
        env: { ...env, HOME: box.dir },
      });
      return out
        .split("\n")
        .map((l) => l.split("\t")[0])
        .filter((l) => l !== "")
        .sort();
    };
    expect(await complete("svctl re")).toEqual(["ready", "reload", "restart"]);
    expect(await complete("svctl start w")).toEqual(["web", "web-2"]);
    expect(await complete("svctl graph --")).toContain("--dot");
    expect(await complete("svctl graph w")).toEqual([]);
  },
  has("fish"),
);

patientScenario(
  "zsh: its file is one that zsh takes",
  async (box) => {
    const script = `fpath=(${FILES} $fpath); autoload -Uz compinit; compinit -D -u; whence -w _svctl; print $_comps[svctl]; autoload +X _svctl`;
    const { code, out, err } = await box.run(["zsh", "-f", "-c", script], { env });
    expect([code, out, err]).toEqual([0, "_svctl: function\n_svctl\n", ""]);
  },
  has("zsh"),
);

test("every operation that looks is offered by all three", () => {
  for (const file of ["svctl.bash", "_svctl", "svctl.fish"]) {
    const text = read(`${FILES}/${file}`) ?? "";
    for (const word of ["top", "watch", "logs", "graph", "plot", "metrics", "restart", "ready"]) {
      expect(text).toContain(word);
    }
  }
});

test("install puts them where the shells look, and uninstall takes them away", () => {
  const dir = mkdtempSync(join(tmpdir(), "sysmgr-install."));
  try {
    const install = (what: string) => {
      const command = ["sh", `${ROOT}/scripts/install.sh`, what];
      const vars = {
        DESTDIR: dir,
        BINDIR: "/usr/bin",
        MANPREFIX: "/usr/share/man",
        SHAREDIR: "/usr/share",
      };
      const { exitCode, stderr } = Bun.spawnSync(command, {
        env: { PATH: process.env.PATH, ...vars },
        stdout: "ignore",
      });
      expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    };
    const places = [
      "bash-completion/completions/svctl",
      "zsh/site-functions/_svctl",
      "fish/vendor_completions.d/svctl.fish",
    ].map((path) => `${dir}/usr/share/${path}`);
    install("install");
    expect(places.map((path) => (read(path) ?? "").startsWith("#"))).toEqual([true, true, true]);
    install("uninstall");
    expect(places.map(read)).toEqual([null, null, null]);
  } finally {
    remove(dir);
  }
});
