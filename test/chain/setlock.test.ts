/** setlock: who has the lock, how long, and who is told. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { FILES, ours, type Run, runIn, SHOW, sameAs, Workplaces } from "../lib/chain.ts";
import { read } from "../lib/files.ts";
import { until } from "../lib/until.ts";

const places = new Workplaces((directory) => {
  mkdirSync(`${directory}/private`, { mode: 0o700 });
});

const commands = [
  ["lock", ...FILES],
  ["lock", ...SHOW],
  ["-n", "lock", ...FILES],
  ["-nNxX", "lock", "true"],
  ["-n", "-x", "lock", "true"],
  ["private/lock", "true"],
  ["-x", "private/lock", "true"],
  ["nowhere/lock", "true"],
  ["-x", "nowhere/lock", "true"],
  ["-xX", "nowhere/lock", "true"],
  [".", "true"],
  ["/dev/null", "true"],
  ["lock", "no-such-program"],
  ["-x", "lock", "no-such-program"],
  ["-q", "lock", "true"],
  ["-nq"],
  ["--", "lock", "true"],
  ["--x", "lock", "true"],
  ["lock"],
  ["-n"],
  ["-", "true"],
  ["", "true"],
  [],
];
sameAs(
  "setlock",
  places,
  commands.flatMap((args): Run[] => [
    { args, user: "root" },
    { args, user: "nobody" },
  ]),
);

describe("the lock", () => {
  const hold = async (file: string, act: (pid: number) => unknown) => {
    const holder = Bun.spawn([ours("setlock"), "-n", file, "sh", "-c", "echo got it; read x"], {
      cwd: places.ours,
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      const reader = holder.stdout.getReader();
      await reader.read();
      await act(holder.pid);
    } finally {
      holder.stdin.end();
      await holder.exited;
    }
  };

  const flock = (name: string, args: string[]) => runIn(places.ours, name, { args });

  test("is held as long as the program runs, against ours and the originals", async () => {
    await hold("held", async () => {
      expect(await flock(ours("setlock"), ["-n", "held", "true"])).toEqual({
        code: 111,
        out: "",
        err: "setlock: fatal: unable to lock held: temporary failure\n",
      });
      expect(await flock(ours("setlock"), ["-nx", "held", "true"])).toEqual({
        code: 0,
        out: "",
        err: "",
      });
      expect((await flock("flock", ["-n", "held", "true"])).code).toBe(1);
      expect(await flock(ours("chpst"), ["-L", "held", "true"])).toEqual({
        code: 111,
        out: "",
        err: "chpst: fatal: unable to lock: held: temporary failure\n",
      });
    });
    expect((await flock(ours("setlock"), ["-n", "held", "true"])).code).toBe(0);
  });

  test("is waited for", async () => {
    let waiting: Bun.Subprocess | undefined;
    await hold("waited", async () => {
      waiting = Bun.spawn([ours("setlock"), "waited", "true"], { cwd: places.ours });
      const { pid } = waiting;
      // /proc/locks marks who waits by an arrow.
      const waits = () => read("/proc/locks")?.includes(`-> FLOCK  ADVISORY  WRITE ${pid} `);
      await until(waits, "setlock waits");
    });
    expect(await waiting?.exited).toBe(0);
  });
});
