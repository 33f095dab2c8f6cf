/** runsv: one service, as runit has it. */
import { expect } from "bun:test";
import { exists, link, list, makeDirectory, read } from "../lib/files.ts";
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
import { environmentWith, kill, lives } from "../lib/processes.ts";
import { patientScenario, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

patientScenario("keeps its service running; TERM stops it, exit 0", async (box) => {
  const web = new Supervised(serviceDirectory(box.dir, "web"));
  const runsv = FrontEnd.start(box, ["runsv", web.path], { env: { RUNDIR: "/nonexistent" } });
  await web.served(box);
  const pid = await web.runs();
  await environmentWith(pid, `RUNDIR=${web.path}/supervise/.sysmgr`, "SYSMGR_SERVICE=web");
  expect(web.file("sysmgr")).toBe(`${web.path}/supervise/.sysmgr\nweb\n`);
  kill(pid, "SIGKILL");
  const next = await web.runs(pid);
  expect(await runsv.end("SIGTERM")).toBe(0);
  expect([lives(next), runsv.messages]).toEqual([false, ""]);
  await web.is("down");
  expect(list(`${web.path}/supervise/.sysmgr`)).toEqual([]);
});

patientScenario("its neighbours do not exist", async (box) => {
  const [web, db] = ["web", "db"].map((name) => new Supervised(serviceDirectory(box.dir, name)));
  if (!web || !db) throw new Error("two services");
  const runsv = FrontEnd.start(box, ["runsv", "."], { cwd: web.path });
  await web.runs();
  expect(exists(`${db.path}/supervise`)).toBeFalse();
  const names = list(`${web.path}/supervise/.sysmgr`).filter((name) => !name.startsWith("."));
  expect(names.sort()).toEqual(["pid", "web"]);
  expect(await runsv.end("SIGTERM")).toBe(0);
});

patientScenario(
  "x ends it, with Debian's sv, as it ends Debian's",
  async (box) => {
    for (const program of [original("runsv"), "runsv"]) {
      const parent = `${box.dir}/${program.length}`;
      const web = new Supervised(serviceDirectory(parent, "web"));
      const runsv = FrontEnd.start(box, [program, web.path]);
      await web.served(box);
      const pid = await web.runs();
      const outcome = await box.run([original("sv"), "-w", "15", "shutdown", web.path]);
      expect(masked(outcome)).toBe(
        `0: ok: down: ${web.path}: runsv not running\n`.replace("down: ", ""),
      );
      expect([await runsv.ended(), lives(pid), web.stat]).toEqual([0, false, "down"]);
    }
  },
  have.runit,
);

patientScenario("a service that was told to exit may be wanted again", async (box) => {
  const gate = `${box.dir}/gate`;
  const run = `trap 'while [ ! -e ${gate} ]; do sleep 0.1; done; exit' TERM
: >${box.dir}/ready
while :; do sleep 3600 & wait $!; kill $!; done`;
  const web = new Supervised(serviceDirectory(box.dir, "web", run));
  const runsv = FrontEnd.start(box, ["runsv", web.path]);
  await web.served(box);
  const pid = await web.runs();
  await until(() => exists(`${box.dir}/ready`), "it listens to TERM");
  await web.tell(box, "x");
  await web.is("run, got TERM, want exit");
  await web.tell(box, "u");
  await web.is("run, got TERM");
  await box.run(["touch", gate]);
  await web.runs(pid);
  expect(await runsv.end("SIGTERM")).toBe(0);
});

patientScenario("a down file: it begins down", async (box) => {
  const web = new Supervised(serviceDirectory(box.dir, "web", undefined, { down: "" }));
  const runsv = FrontEnd.start(box, ["runsv", web.path]);
  await web.served(box);
  await web.is("down");
  await web.tell(box, "u");
  await web.runs();
  expect(await runsv.end("SIGTERM")).toBe(0);
});

patientScenario(
  "when it is killed the service lives on; the next one takes it over",
  async (box) => {
    const web = new Supervised(serviceDirectory(box.dir, "web"));
    const first = FrontEnd.start(box, ["runsv", web.path]);
    await web.served(box);
    const pid = await web.runs();
    const bridge = first.bridge ?? 0;
    expect(await first.end("SIGKILL")).toBe("SIGKILL");
    await until(() => web.file("sysmgr") === null && !lives(bridge), "nobody serves it");
    const second = FrontEnd.start(box, ["runsv", web.path]);
    await web.served(box);
    expect(await web.runs()).toBe(pid);
    expect(await second.end("SIGTERM")).toBe(0);
  },
);

patientScenario("supervise may be a link to what is not there yet", async (box) => {
  const web = new Supervised(serviceDirectory(box.dir, "web"));
  link(`${box.dir}/supervise.web`, `${web.path}/supervise`);
  const runsv = FrontEnd.start(box, ["runsv", web.path]);
  await web.served(box);
  const pid = await web.runs();
  expect(read(`${box.dir}/supervise.web/pid`)).toBe(`${pid}\n`);
  expect(await runsv.end("SIGTERM")).toBe(0);
});

for (const [first, second] of [
  ["runsv", "runsv"],
  [original("runsv"), "runsv"],
  ["runsv", original("runsv")],
  ["supervise", "runsv"],
] as const) {
  patientScenario(
    `where ${first} is, ${second} says so and exits 111`,
    async (box) => {
      const web = new Supervised(serviceDirectory(box.dir, "web"));
      const one = FrontEnd.start(box, [first, web.path]);
      await web.served(box);
      const outcome = await box.run([second, web.path]);
      const text = `runsv ${web.path}: fatal: unable to lock supervise/lock: temporary failure\n`;
      expect(outcome).toEqual({ code: 111, out: "", err: text });
      await web.tell(box, "dx");
      expect(await one.ended()).toBe(0);
    },
    have.runit,
  );
}

refusesAsOriginal(
  "runsv",
  [[], ["a", "b"], ["/nonexistent"], ["/etc/passwd"], [""], ["-h", "x"], ["-x"]],
  have.runit,
);

for (const name of [".hidden", "pid"]) {
  scenario(`${name} is not a name for a service, exit 111`, async (box) => {
    makeDirectory(`${box.dir}/${name}`);
    const { code, err } = await box.run(["runsv", `${box.dir}/${name}`]);
    const text = `runsv ${box.dir}/${name}: fatal: ${box.dir}/${name}: not a name for a service\n`;
    expect({ code, err }).toEqual({ code: 111, err: text });
  });
}

printsUsage("runsv", "runsv DIR");
