/** Chains of programs: as if each had been executed; and what the last one finds. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import {
  FILES,
  fillEnvironments,
  ours,
  type Run,
  runIn,
  SHOW,
  sameAs,
  Workplaces,
} from "../lib/chain.ts";
import { exists, write } from "../lib/files.ts";
import { BIN } from "../lib/sandbox.ts";
import { isRoot } from "../unit/scratch.ts";

/** A directory bin with these programs, ours or theirs. */
const places = new Workplaces((directory) => {
  fillEnvironments(directory);
  symlinkSync(directory.endsWith("ours") ? BIN : "/usr/bin", `${directory}/bin`);
  mkdirSync(`${directory}/path`);
  writeFileSync(`${directory}/path/PATH`, "other:/usr/bin:/bin");
  mkdirSync(`${directory}/other`);
  write(`${directory}/other/setlock`, '#!/bin/sh\necho "another setlock: $*"\n', 0o755);
  write(`${directory}/other/pgrphack`, "echo never\n", 0o644);
  write(`${directory}/script`, 'echo "script of the shell: $0 $*"\n', 0o755);
  mkdirSync(`${directory}/secret`);
  write(`${directory}/secret/setlock`, "#!/bin/sh\necho secret\n", 0o755);
  chmodSync(`${directory}/secret`, 0o700);
});
const cwd = places.ours;
const PATH = "bin:/usr/bin:/bin";

describe("as the originals", () => {
  const chains: [program: string, ...args: string[]][] = [
    ["envdir", "env", "envuidgid", "nobody", ...SHOW],
    ["envdir", "path", "setlock", "lock", "true"],
    ["envuidgid", "daemon", "envdir", "env", "pgrphack", ...SHOW],
    ["pgrphack", "setlock", "lock", "setuidgid", "nobody", ...SHOW],
    ["setlock", "one", "setlock", "two", "setlock", "three", ...FILES],
    ["setlock", "same", "setlock", "-n", "same", "true"],
    ["setlock", "-x", "lock", "setuidgid", "no-such-account", "true"],
    ["setuidgid", "nobody", "setuidgid", "daemon", "true"],
    ["setuidgid", "nobody", "setlock", "private/lock", "true"],
    ["setuidgid", "nobody", "envdir", "private", "true"],
    ["setuidgid", "daemon", "envuidgid", "nobody", "no-such-program"],
    ["softlimit", "-o", "50", "softlimit", "-o", "60", ...SHOW],
    ["softlimit", "-o", "=", "-c", "5", "setuidgid", "nobody", "softlimit", "-c", "=", ...SHOW],
    ["softlimit", "-t", "100", "-f", "100000000", "pgrphack", "envdir", "env", ...SHOW],
    ["chpst", "-l", "lock", "-o", "60", "envdir", "empty", "setuidgid", "nobody", ...FILES],
    ["chpst", "-0", "setlock", "lock", "setlock", "more", ...FILES],
    ["chpst", "-n", "3", "chpst", "-n", "4", ...SHOW],
    ["chpst", "-u", ":65534:65534:1", "chpst", "-e", "env", "-U", "root", ...SHOW],
    ["envdir", "env", "softlimit"],
    ["envdir", "env", "setlock", "-q"],
    ["envdir", "env", "./bin/setlock", "lock", ...SHOW],
    ["envdir", "env", "bin/setlock/x", "true"],
    ["envdir", "env", "fghack", "true"],
  ];
  for (const [program, ...args] of chains) {
    const run = { args, env: { PATH } };
    const rows: Run[] = [
      { ...run, user: "root" },
      { ...run, user: "nobody" },
    ];
    sameAs(program, places, rows);
  }
});

describe("in one process", () => {
  const merged = ["-a", "50000000", "bin/setlock", "lock", "bin/pgrphack"];

  test("limits that the runtime could not live with bind only the last program", async () => {
    const { code, out } = await runIn(cwd, ours("softlimit"), { args: [...merged, ...SHOW] });
    expect(code).toBe(0);
    expect(out).toMatch(/^Max address space +50000000 /m);
  });

  test("help is given on the way", async () => {
    const { code, out } = await runIn(cwd, ours("softlimit"), { args: [...merged, "--help"] });
    expect([code, out.split("\n")[0]]).toEqual([0, "usage: pgrphack PROGRAM [ARG ...]"]);
  });

  test("only what PATH leads to now: another program of that name is executed", async () => {
    const { out } = await runIn(cwd, ours("envdir"), {
      args: ["env", "setlock", "x"],
      env: { PATH: `other:${PATH}` },
    });
    expect(out).toBe("another setlock: x\n");
  });

  test.skipIf(!isRoot)("what the user may not execute is passed over", async () => {
    const env = { PATH: `secret:${PATH}` };
    const run = async (...args: string[]) => (await runIn(cwd, ours("chpst"), { args, env })).out;
    expect(await run("setlock", "x")).toBe("secret\n");
    expect(await run("-u", "nobody", "setlock", "-nx", "of-nobody", "echo", "ours")).toBe("ours\n");
  });

  test("what is not executable is passed over", async () => {
    const env = { PATH: `other:${PATH}` };
    const { out } = await runIn(cwd, ours("chpst"), { args: ["pgrphack", "echo", "ours"], env });
    expect(out).toBe("ours\n");
  });

  test("-b names the program, as argv[0] does for every one of ours", async () => {
    const args = ["-b", "pgrphack", "setlock", "echo", "in a session"];
    const { out } = await runIn(cwd, ours("chpst"), { args, env: { PATH } });
    expect(out).toBe("in a session\n");
  });

  test("sysmgr NAME is one of them, too", async () => {
    const args = [
      "-a",
      "50000000",
      ours("sysmgr"),
      "setlock",
      "-n",
      "lock2",
      "echo",
      "one process",
    ];
    expect((await runIn(cwd, ours("softlimit"), { args })).out).toBe("one process\n");
  });
});

describe("the program", () => {
  test("begins with all signals at their defaults, and none held back", async () => {
    const { out } = await runIn(cwd, ours("chpst"), {
      args: ["cat", "/proc/self/status"],
      wrapper: ["env", "--ignore-signal", "--block-signal=USR1,TERM,RTMIN"],
    });
    for (const field of ["SigIgn", "SigBlk", "SigPnd", "ShdPnd"]) {
      expect(out).toMatch(new RegExp(`^${field}:\\s0{16}$`, "m"));
    }
  });

  test("has the descriptors that were given under their numbers, and no others", async () => {
    const script = `exec 3<file 5<>o 9>p; exec "$@" 7<<x\nx\n`;
    const wrapper = ["sh", "-c", script, "sh"];
    const list = ["ls", "/proc/self/fd"];
    const { out } = await runIn(cwd, ours("chpst"), { args: ["-l", "lock", ...list], wrapper });
    const found = out.trim().split("\n").map(Number);
    // ls has the directory open, under the lowest number that is free.
    expect(found.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9]);
  });

  test("gets its arguments and variables byte for byte", async () => {
    const script = `A=$(printf '\\377\\001x'); export A; exec "$0" "$A" '' ' ' '-h'`;
    const wrapper = [
      "sh",
      "-c",
      `${script.replace('"$0"', '"$1" sh -c \'printf %s. "$A" "$@"\' x')}`,
      "sh",
    ];
    const { out } = await runIn(cwd, ours("chpst"), { args: [], wrapper });
    expect(out).toBe("\xff\x01x.\xff\x01x.. .-h.");
  });

  test("may be a script without #!", async () => {
    const { out } = await runIn(cwd, ours("chpst"), { args: ["./script", "a", ""] });
    expect(out).toBe("script of the shell: ./script a \n");
  });

  test("is not run when privileges cannot be given up", async () => {
    for (const program of [
      ["setuidgid", "daemon"],
      ["chpst", "-u", "daemon"],
      ["chpst", "-u", ":1:1"],
    ]) {
      const [name = "", ...args] = program;
      const touch = [...args, "touch", "it-was-run"];
      const { code } = await runIn(cwd, ours(name), { args: touch, user: "nobody" });
      expect(code).toBe(111);
    }
    expect(exists(`${cwd}/it-was-run`)).toBe(!isRoot && process.getuid?.() === 1);
  });

  describe("has the soft limit on descriptors", () => {
    const limit = (script: string) =>
      runIn(cwd, "sh", { args: ["-c", script, ours("chpst")] }).then(({ out }) => out.trim());
    const show = `"$0" sh -c 'ulimit -Sn'`;

    test("of the parent process", async () => {
      expect(await limit(`ulimit -Sn 77; ${show}; :`)).toBe("77");
    });
    test("that -o gives", async () => {
      expect(await limit(`ulimit -Sn 77; ${show.replace('"$0"', '"$0" -o 99')}; :`)).toBe("99");
    });
    test("1024 if the parent has another hard limit", async () => {
      expect(await limit(`(ulimit -n 2000; exec ${show}); :`)).toBe("1024");
    });
    test("the same in another root, without /proc", async () => {
      expect(await limit(`ulimit -Sn 77; ${show.replace('"$0"', '"$0" -/ /')}; :`)).toBe(
        isRoot ? "77" : "",
      );
    });
  });
});
