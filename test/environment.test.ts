/** What we find in the environment, what services get of it, and what a successor gets. */
import { describe, expect, test } from "bun:test";
import { NOFILE, RUNDIR, SYSDIR } from "../config.ts";
import * as libc from "../src/libc.ts";
import { makeDirectory, write } from "./lib/files.ts";
import { type Child, outputOf, script, sh } from "./unit/child.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const { hard } = libc.getFileLimits();

type Found = {
  clean: string[];
  handover: unknown;
  own: string | null;
  limits: libc.Limits[];
  directories: { sysdir: string; rundir: string };
};

async function found(child: Child, ...args: string[]): Promise<Found> {
  return JSON.parse(
    await outputOf(`${dir}/out`, { ...script("show-environment.ts", ...args), ...child }),
  );
}

describe("what is ours in the environment", () => {
  test("reaches no service; all else does, in order", async () => {
    const env = ["A=1", "BUN_X=1", "SYSMGR_UPGRADE=5:1024:18", "BUNS=1", "B=BUN_", "A=2"];
    expect((await found({ env })).clean).toEqual(["A=1", "BUNS=1", "B=BUN_", "A=2"]);
  });

  test.each([
    ["5:1024:18", { lock: 5, nofile: 1024, umask: 18, command: null }],
    ["5:1024:18:7:99", { lock: 5, nofile: 1024, umask: 18, command: { pid: 7, started: 99 } }],
    ["", null],
    ["5:1024", null],
    ["5:1024:", null],
    ["-1:1024:18", null],
    ["a:b:c", null],
  ])("is handed over by a predecessor as %j", async (value, handover) => {
    expect((await found({ env: [`SYSMGR_UPGRADE=${value}`] })).handover).toEqual(handover);
  });
});

describe("the directories", () => {
  test("are those of the options, else of the environment, else of config.ts", async () => {
    const env = ["SYSDIR=/env/sys", "RUNDIR="];
    const pick = async (...args: string[]) =>
      Object.values((await found({ env }, ...args)).directories);
    expect(await pick()).toEqual(["/env/sys", RUNDIR]);
    expect(await pick("-d", "/a", "-r", "/b")).toEqual(["/a", "/b"]);
    expect((await found({ env: [] })).directories.sysdir).toBe(SYSDIR);
  });

  test("are absolute from where we are", async () => {
    const { directories } = await found({ cwd: dir, env: ["RUNDIR=run/../r"] }, "-d", "s");
    expect(directories).toEqual({ sysdir: `${dir}/s`, rundir: `${dir}/r` });
  });
});

describe("the path that we were started from", () => {
  const bin = `${dir}/bin`;
  makeDirectory(bin);
  write(`${bin}/called`, "#!/bin/sh\n", 0o755);
  const called = (name: string) => [name, `${import.meta.dir}/unit/show-environment.ts`];

  test("is the one that we were called by, links and all", async () => {
    expect((await found({ argv: called("/x/./sysmgr") })).own).toBe("/x/sysmgr");
    expect((await found({ argv: called("bin/called"), cwd: dir })).own).toBe(`${bin}/called`);
  });

  test("is looked for in PATH, as the shell did", async () => {
    const env = [`PATH=/none:${bin}`];
    expect((await found({ argv: called("called"), env })).own).toBe(`${bin}/called`);
    expect((await found({ argv: called("other"), env })).own).toBeNull();
    const here = await found({ argv: called("called"), env: ["PATH=/none:"], cwd: bin });
    expect(here.own).toBe(`${bin}/called`);
  });
});

describe("the limit on descriptors of services", () => {
  const { path = "", argv = [] } = script("show-environment.ts");
  const limits = async (before: string, exec: string) => {
    const command = `${before}; sh -c '${exec} "$@"' sh "$@"; true`;
    return JSON.parse(await outputOf(`${dir}/out`, sh(command, path, ...argv.slice(1)))).limits;
  };

  test("is that of our parent, or what we were told, at most the hard one", async () => {
    expect(await limits("ulimit -Sn 77", "exec")).toEqual([
      { soft: 77, hard },
      { soft: 50, hard },
      { soft: hard, hard },
    ]);
  });

  test("is the kernel's own default when our parent has another hard limit", async () => {
    const [inherited] = await limits("ulimit -Sn 77", "ulimit -n 2000; exec");
    expect(inherited).toEqual({ soft: NOFILE, hard: 2000 });
  });
});

describe("a successor", () => {
  const file = `${dir}/successor`;
  const report = "tr '\\0' '\\n' </proc/self/environ; readlink /proc/self/fd/9";
  write(file, `#!/bin/sh\necho "args $*"; ${report}\n`, 0o755);
  const blocked = (text: string) => BigInt(`0x${text.match(/^SigBlk:\s*(\w+)$/m)?.[1]}`);
  const bit = (signal: number) => 1n << BigInt(signal - 1);

  async function become(program: string): Promise<string> {
    const lock = libc.openat(libc.AT_FDCWD, dir, libc.O.RDONLY);
    const env = ["A=1", "BUN_X=1", "SYSMGR_UPGRADE=1:2:3", "PATH=/bin:/usr/bin"];
    const child = { ...script("become.ts", program, "9"), env, fds: [[lock, 9] as const] };
    const text = await outputOf(`${dir}/out`, child);
    libc.close(lock);
    return text;
  }

  test("gets our arguments, a clean environment, and the lock", async () => {
    const text = await become(file);
    expect(text).toMatch(/^args .*become\.ts .*successor 9$/m);
    expect(text).toMatch(/^A=1$/m);
    expect(text).not.toMatch(/^BUN_X/m);
    expect(text).toMatch(/^BUN_GC_TIMER_DISABLE=1$/m);
    expect(text.match(/^SYSMGR_UPGRADE=.*$/gm)).toEqual(["SYSMGR_UPGRADE=9:77:23"]);
    expect(text).toEndWith(`${dir}\n`);
  });

  test("gets no signal before it is ready for it", async () => {
    // No shell: that would let them through.
    write(`${dir}/mask`, "#!/bin/cat /proc/self/status\n", 0o755);
    const { HUP, INT, QUIT, ABRT, USR1, USR2, ALRM, TERM, CHLD, TSTP, TTIN, TTOU } = libc.SIGNALS;
    const handled = [HUP, INT, QUIT, ABRT, USR1, USR2, ALRM, TERM, CHLD, TSTP, TTIN, TTOU];
    const mask = blocked(await become(`${dir}/mask`));
    expect(handled.filter((signal) => (mask & bit(signal)) === 0n)).toEqual([]);
  });

  test("that cannot be started leaves everything as it was", async () => {
    const text = await become(`${dir}/none`);
    expect(text).toStartWith(`${-libc.E.NOENT}\n`);
    expect(blocked(text)).toBe(0n);
    const flags = Number.parseInt(text.match(/^flags:\s*(\d+)$/m)?.[1] ?? "", 8);
    expect(flags & libc.O.CLOEXEC).toBe(libc.O.CLOEXEC);
  });
});
