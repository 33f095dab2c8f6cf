/**
 * What Debian's own clients see of our runsvdir and svscan is what they see of Debian's. A service
 * that no signal ends but KILL keeps every trace of what was asked of it, so each combination of
 * letters has a service of its own, all of them at the same time.
 */
import { expect } from "bun:test";
import { makeDirectory, read } from "../lib/files.ts";
import {
  DEAF,
  FrontEnd,
  have,
  masked,
  original,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { carriers, kill } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

/**
 * One and two letters. Who is being stopped cannot be paused here, and says so; under runsv it can,
 * and is called paused even after CONT: these two do not go together.
 */
function combinations(letters: string): string[] {
  const pairs = [...letters].flatMap((a) => [...letters].map((b) => a + b));
  return [...letters, ...pairs].filter((row) => !/p.*d|d.*p/.test(row));
}

/** Starts both on copies of the same services: first Debian's, then ours. */
async function both(box: Sandbox, program: string, make: (parent: string) => void) {
  const parents = [`${box.dir}/theirs`, `${box.dir}/ours`];
  const commands = [original(program), program];
  const frontEnds = parents.map((parent, i) => {
    makeDirectory(parent);
    make(parent);
    return FrontEnd.start(box, [commands[i] ?? "", parent]);
  });
  return { parents, frontEnds };
}

/** Ends them and all their services at once. */
async function killAll(box: Sandbox, frontEnds: FrontEnd[]): Promise<void> {
  for (const frontEnd of frontEnds) frontEnd.signal("SIGKILL");
  await until(() => {
    for (const pid of carriers(box.dir)) kill(pid, "SIGKILL");
    return carriers(box.dir).length === 0;
  }, "all are dead");
}

scenario(
  "letters to supervise/control have the same effect under runsvdir",
  async (box) => {
    const rows = [...combinations("udopct1"), "x", "xu", "tx"];
    const { parents, frontEnds } = await both(box, "runsvdir", (parent) => {
      for (const row of rows) serviceDirectory(parent, row, DEAF);
    });
    const [theirs = [], ours = []] = parents.map((parent) =>
      rows.map((row) => new Supervised(`${parent}/${row}`)),
    );
    for (const one of [...theirs, ...ours]) {
      await one.runs();
      await one.deaf();
    }
    for (const parent of parents) {
      const script = 'for d; do printf %s "$d" >"$d/supervise/control"; done';
      const { code, err } = await box.run(["sh", "-c", script, "sh", ...rows], { cwd: parent });
      expect({ code, err }).toEqual({ code: 0, err: "" });
    }
    const told = (all: Supervised[]) => all.map((one, i) => `${rows[i]}: ${one.stat}`);
    const expected = rows.map((row) => `${row}: ${statAfter(row)}`);
    for (const all of [theirs, ours]) {
      await until(() => told(all).join() === expected.join(), "all is done").catch(() => {});
      expect(told(all)).toEqual(expected);
    }
    // What is wanted is told when the last command was answered.
    const flags = (all: Supervised[]) => all.map((one) => one.flags);
    await until(() => flags(ours).join() === flags(theirs).join(), "all is told").catch(() => {});
    expect(flags(ours)).toEqual(flags(theirs));
    const outcomes = await Promise.all(
      parents.map((cwd) =>
        box.run([original("sv"), "status", ...rows.map((r) => `./${r}`)], { cwd }),
      ),
    );
    expect(masked(outcomes[1] as never)).toBe(masked(outcomes[0] as never));
    await killAll(box, frontEnds);
  },
  have.runit,
);

/** runsv's words for a service that nothing ends. */
function statAfter(letters: string): string {
  let [paused, term, wanted] = [false, false, ""];
  for (const letter of letters) {
    if (letter === "p") paused = true;
    if (letter === "c") paused = false;
    if ("tdx".includes(letter)) term = true;
    if (letter === "u") wanted = "";
    if ("do".includes(letter)) wanted = ", want down";
    if (letter === "x") wanted = ", want exit";
  }
  return `run${paused ? ", paused" : ""}${term ? ", got TERM" : ""}${wanted}`;
}

scenario(
  "letters to supervise/control have the same effect under svscan",
  async (box) => {
    const rows = combinations("udopcthai");
    const { parents, frontEnds } = await both(box, "svscan", (parent) => {
      for (const row of rows) serviceDirectory(parent, row, DEAF);
    });
    const [theirs = [], ours = []] = parents.map((parent) =>
      rows.map((row) => new Supervised(`${parent}/${row}`)),
    );
    for (const one of [...theirs, ...ours]) await one.deaf();
    for (const cwd of parents) {
      for (const row of rows) {
        const outcome = await box.run([original("svc"), ...[...row].map((l) => `-${l}`), row], {
          cwd,
        });
        expect({ row, ...outcome }).toEqual({ row, code: 0, out: "", err: "" });
      }
    }
    const told = (all: Supervised[]) => all.map((one, i) => `${rows[i]}: ${one.flags}`);
    const same = () => told(ours).join() === told(theirs).join();
    await until(same, "both have done all").catch(() => expect(told(ours)).toEqual(told(theirs)));
    const outcomes = await Promise.all(
      parents.map((cwd) => box.run([original("svstat"), ...rows], { cwd })),
    );
    expect(masked(outcomes[1] as never)).toBe(masked(outcomes[0] as never));
    await killAll(box, frontEnds);
  },
  have.daemontools,
);

const STEPS = [
  ["status", "web", "idle"],
  ["-v", "up", "idle"],
  ["status", "idle"],
  ["stop", "web"],
  ["status", "web"],
  ["start", "web"],
  ["-v", "down", "web"],
  ["-v", "up", "web"],
  ["force-stop", "web"],
  ["start", "web"],
  ["start", "idle"],
  ["check", "web"],
  ["-v", "pause", "idle"],
  ["-v", "cont", "idle"],
  ["force-stop", "idle"],
  ["force-stop", "web"],
  ["try-restart", "web"],
  ["status", "nosuch"],
  ["shutdown", "nosuch"],
] as const;

scenario(
  "Debian's sv, step by step, sees the same under both runsvdirs",
  async (box) => {
    const { parents, frontEnds } = await both(box, "runsvdir", (parent) => {
      serviceDirectory(parent, "web");
      serviceDirectory(parent, "idle", undefined, { down: "" });
    });
    for (const parent of parents) {
      await new Supervised(`${parent}/web`).served(box);
      await new Supervised(`${parent}/idle`).served(box);
      await new Supervised(`${parent}/web`).runs();
    }
    const outcomes = await Promise.all(
      parents.map(async (SVDIR) => {
        const rows: string[] = [];
        for (const step of STEPS) {
          const outcome = await box.run([original("sv"), "-w", "15", ...step], { env: { SVDIR } });
          rows.push(`${step.join(" ")}: ${masked(outcome)}`);
        }
        return rows;
      }),
    );
    expect(outcomes[1]).toEqual(outcomes[0] as string[]);
    await killAll(box, frontEnds);
  },
  have.runit,
);

for (const [program, client, started] of [
  ["runsvdir", "sv o .", have.runit],
  ["svscan", "svc -o .", have.daemontools],
  ["runsv", "sv o .", have.runit],
  ["supervise", "svc -o .", have.daemontools],
] as const) {
  scenario(
    `${client} at the top of a run script makes a one-shot of it from its first start under ${program}`,
    async (box) => {
      const dir = `${box.dir}/service`;
      const names = program.endsWith("v") || program === "supervise" ? ["one"] : [..."abcdefghij"];
      const [word, ...rest] = client.split(" ");
      const command = [original(word ?? ""), ...rest].join(" ");
      // It may end long before the command is carried out.
      const files = { "restart-delay": "60\n" };
      for (const name of names) {
        const run = `echo $$ >>../${name}.starts; ${command} || echo failed >&2`;
        serviceDirectory(dir, name, run, files);
      }
      const frontEnd = FrontEnd.start(box, [program, names.length > 1 ? dir : `${dir}/one`]);
      const all = names.map((name) => new Supervised(`${dir}/${name}`));
      const isDown = (one: Supervised) => one.stat === "down" && one.flags.includes(" none 0 ");
      const runs = (name: string) => read(`${dir}/${name}.starts`)?.split("\n").length ?? 0;
      await until(() => names.every((name) => runs(name) > 0), "all have run");
      await until(() => all.every(isDown), "all are down");
      for (const one of all) await one.served(box);
      // 117 is `u`: it is wanted to be up.
      await until(() => !all.some((one) => one.flags.includes("117")), "none is to be up");
      expect([names.map(runs), frontEnd.messages]).toEqual([names.map(() => 2), ""]);
      await frontEnd.end("SIGINT");
    },
    started,
  );
}
