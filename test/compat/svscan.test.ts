/** svscan: a directory of services, as daemontools has it. */
import { expect } from "bun:test";
import { exists, makeDirectory, remove, rename } from "../lib/files.ts";
import {
  FrontEnd,
  have,
  masked,
  original,
  printsUsage,
  refusesAsOriginal,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { lives } from "../lib/processes.ts";
import { patientScenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

patientScenario(
  "TERM ends it and leaves the services; the next one takes them over",
  async (box) => {
    const dir = `${box.dir}/service`;
    const web = new Supervised(serviceDirectory(dir, "web"));
    const first = FrontEnd.start(box, ["svscan", dir]);
    await web.served(box);
    const pid = await web.runs();
    await until(() => web.flags === "18 pid 0 117", "its status is told");
    expect(await first.end("SIGTERM")).toBe("SIGTERM");
    await until(() => web.file("sysmgr") === null, "nobody serves it");
    const second = FrontEnd.start(box, ["svscan"], { cwd: dir });
    await web.served(box);
    expect(await web.runs()).toBe(pid);
    expect(await second.end("SIGINT")).toBe(0);
    expect([lives(pid), first.messages + second.messages]).toEqual([false, ""]);
  },
);

patientScenario(
  "Debian's svc and svstat, step by step, see the same under both",
  async (box) => {
    const steps = [
      "-u idle",
      "-o idle",
      "-d web",
      "-u web",
      "-p web",
      "-c web",
      "-d idle",
      "-k web",
    ];
    const results: string[][] = [];
    for (const program of [original("svscan"), "svscan"]) {
      const dir = `${box.dir}/${program.length}`;
      const all = [
        serviceDirectory(dir, "web"),
        serviceDirectory(dir, "idle", undefined, { down: "" }),
      ];
      for (const path of all) expect(exists(path)).toBeTrue();
      const svscan = FrontEnd.start(box, [program, dir]);
      for (const path of all) await new Supervised(path).served(box);
      const rows: string[] = [];
      for (const step of ["", ...steps]) {
        if (step !== "") await box.run([original("svc"), ...step.split(" ")], { cwd: dir });
        const expected = EXPECTED[step] ?? [];
        const look = async () => {
          const outcome = await box.run([original("svstat"), "web", "idle", "none"], { cwd: dir });
          return masked(outcome);
        };
        let found = await look();
        // Debian's supervise takes no commands in the first second.
        for (const end = performance.now() + 10_000; performance.now() < end; ) {
          if (found === told(expected)) break;
          found = await look();
        }
        rows.push(`${step}: ${found}`);
      }
      results.push(rows);
      await box.run([original("svc"), "-dx", ...all]);
      await svscan.end(program === "svscan" ? "SIGINT" : "SIGKILL");
      if (program !== "svscan") await until(() => all.every((path) => !isServed(path)), "gone");
    }
    expect(results[1]).toEqual(results[0] as string[]);
    const wanted = Object.entries(EXPECTED).map(([step, rows]) => `${step}: ${told(rows)}`);
    expect(results[0]).toEqual(wanted);
  },
  have.daemontools,
);

const [UP, DOWN] = ["up (pid P) N seconds", "down N seconds"];

/** What svstat says of web and idle after each step. */
const EXPECTED: Record<string, readonly [string, string]> = {
  "": [UP, DOWN],
  "-u idle": [UP, `${UP}, normally down`],
  "-o idle": [UP, `${UP}, normally down`],
  "-d web": [`${DOWN}, normally up`, `${UP}, normally down`],
  "-u web": [UP, `${UP}, normally down`],
  "-p web": [`${UP}, paused`, `${UP}, normally down`],
  "-c web": [UP, `${UP}, normally down`],
  "-d idle": [UP, DOWN],
  "-k web": [UP, DOWN],
};

function told(rows: readonly string[]): string {
  const none = "none: unable to chdir: file does not exist";
  return `0: ${rows.map((row, i) => `${["web", "idle"][i]}: ${row}`).join("\n")}\n${none}\n`;
}

/** Debian's supervise outlives its svscan. */
function isServed(path: string): boolean {
  return Bun.spawnSync([original("svok"), path]).exitCode === 0;
}

patientScenario("what is removed is stopped; svc -dx before that is not undone", async (box) => {
  const dir = `${box.dir}/service`;
  const web = new Supervised(serviceDirectory(dir, "web"));
  const svscan = FrontEnd.start(box, ["svscan", dir]);
  await web.served(box);
  const pid = await web.runs();
  await web.tell(box, "dx");
  rename(web.path, `${box.dir}/old`);
  await until(() => !lives(pid) && !exists(`${dir}/.sysmgr/web/status`), "it is forgotten");
  expect(await svscan.end("SIGINT")).toBe(0);
  remove(`${box.dir}/old`);
});

patientScenario("a second one on the same directory says so, and exits 111", async (box) => {
  const dir = `${box.dir}/service`;
  makeDirectory(dir);
  const first = FrontEnd.start(box, ["svscan", dir]);
  await until(() => first.bridge, "the first one works");
  const { code, err } = await box.run(["svscan", dir]);
  const held = `temporary failure (held by process ${first.pid})`;
  expect({ code, err }).toEqual({
    code: 111,
    err: `svscan: fatal: unable to lock ${dir}/.sysmgr: ${held}\n`,
  });
  expect(await first.end("SIGINT")).toBe(0);
});

refusesAsOriginal(
  "svscan",
  [["/nonexistent"], ["/etc/passwd"], [""], ["-x"], ["-h", "x"]],
  have.daemontools,
);

printsUsage("svscan", "svscan [DIR]");
