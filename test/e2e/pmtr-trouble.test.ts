/** pmtr without inotify, with strange files in its way, and on the examples. */
import { expect } from "bun:test";
import { allStats } from "../../src/proc.ts";
import { BLIND } from "../lib/clients.ts";
import { link, makeDirectory, place, read, remove, write } from "../lib/files.ts";
import { job, patientScenario, STAYS, scenario } from "../lib/pmtr.ts";
import { carriers, kill, lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const EXAMPLES = `${import.meta.dir}/../../examples/pmtr`;

/** Runs what is appended where there are few watches, but instances. */
const FEW = BLIND.map((word) =>
  word.replace("0 >/proc/sys/user/max_inotify_instances", "2 >/proc/sys/user/max_inotify_watches"),
);

for (const [what, wrapper] of [
  ["without inotify", BLIND],
  ["with too few watches", FEW],
] as const) {
  patientScenario(
    `${what} everything is looked at once a second`,
    async (p) => {
      const file = `${p.box.dir}/file`;
      write(file, "1");
      const web = job("web", STAYS, "depends {", file, "}");
      p.edit(web, job("setup", "cmd /bin/true", "wait", "once"), job("db", STAYS));
      const pmtr = await p.start({ wrapper });
      await pmtr.says(/cannot watch files: .*; looking (every second )?instead$/);
      const [first, db] = [await p.runs("web"), await p.runs("db")];
      place(file, "2");
      await p.runs("web", first);
      p.edit(web, job("mail", STAYS));
      await p.runs("mail");
      await until(() => !lives(db), "what was deleted ends");
    },
    have.userns,
  );
}

patientScenario("what cannot be written is told once, and tried again until it can", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const web = await p.runs("web");
  // Somebody else's directory stands where that of db is to be.
  makeDirectory(`${p.place}/jobs/db/mine`);
  p.edit(job("web", STAYS), job("db", STAYS));
  await pmtr.says(/^pmtr: db: cannot write .*: Directory not empty$/);
  remove(`${p.place}/jobs/db`);
  await p.runs("db");
  expect(pmtr.messages.match(/db: cannot write/g)).toHaveLength(1);
  expect(p.pid("web")).toBe(web);
});

for (const [what, make] of [
  ["a directory", (path: string) => makeDirectory(path)],
  ["a FIFO", (path: string) => Bun.spawnSync(["mkfifo", path])],
  ["a link that leads nowhere", (path: string) => link("/nonexistent", path)],
  ["a link to itself", (path: string) => link(path, path)],
] as const) {
  scenario(`${what} in place of the file changes nothing`, async (p) => {
    p.edit(job("web", STAYS));
    const pmtr = await p.start();
    const web = await p.runs("web");
    remove(p.conf);
    make(p.conf);
    pmtr.signal("SIGHUP");
    await pmtr.says(/cannot read .*; the jobs stay as they are$/);
    remove(p.conf);
    p.edit(job("web", STAYS), job("db", STAYS));
    await p.runs("db");
    expect(p.pid("web")).toBe(web);
  });
}

scenario("a stop marker made by hand holds until the job is changed", async (p) => {
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.start();
  const [web, db] = [await p.runs("web"), await p.runs("db")];
  const places = ["-d", `${p.place}/jobs`, "-r", `${p.place}/run`];
  const { code } = await p.box.run(["svctl", ...places, "stop", "web"]);
  expect([code, lives(web)]).toEqual([0, false]);
  p.edit(job("web", STAYS), job("db", STAYS), job("mail", STAYS));
  await p.runs("mail");
  await p.settled();
  expect([p.pid("web"), p.pid("db")]).toEqual([null, db]);
  p.edit(job("web", "cmd /bin/sleep 3601"), job("db", STAYS), job("mail", STAYS));
  await p.runs("web");
});

scenario("what a job leaves behind ends with pmtr", async (p) => {
  const leaves = p.script("leaves", `sleep 3600 & echo $! >'${p.box.dir}/left'\nexit 0`);
  p.edit(job("web", `cmd ${leaves}`, "once"));
  const pmtr = await p.start();
  await p.job("web").is("down");
  const left = Number(read(`${p.box.dir}/left`));
  expect(lives(left)).toBeTrue();
  expect(await pmtr.stop()).toBe(0);
  expect(lives(left)).toBeFalse();
});

scenario(
  "as PID 1 it reaps orphans, and ends with all that is there",
  async (p) => {
    p.edit(job("web", STAYS), job("leaves", 'cmd /bin/sh -c "sleep 0.1 & :"', "once"));
    const pmtr = await p.start({ wrapper: ["unshare", "-fp", "--kill-child", "--mount-proc"] });
    await pmtr.says(/^pmtr: web: started, pid \d+$/);
    await p.job("leaves").is("down");
    const inside = Number(
      Bun.spawnSync(["pgrep", "-P", String(pmtr.pid)])
        .stdout.toString()
        .split("\n")[0],
    );
    const zombies = () => {
      const ours = new Set(carriers(p.box.dir));
      return allStats().filter((s) => s.state === "Z" && ours.has(s.ppid));
    };
    await until(() => zombies().length === 0, "there is no zombie");
    kill(inside, "SIGTERM");
    expect(await pmtr.exited()).toBe(0);
  },
  have.pidns,
);

scenario("no descriptor and no variable of pmtr's own reaches a job", async (p) => {
  p.edit(job("web", 'cmd /bin/sh -c "ls /proc/self/fd >fds; env >env; exec sleep 3600"'));
  await p.start();
  await p.runs("web");
  const work = `${p.box.dir}/work`;
  await until(() => (read(`${work}/env`) ?? "").includes("SANDBOX="), "it has written");
  // ls has one open for what it lists.
  expect(read(`${work}/fds`)).toBe("0\n1\n2\n3\n");
  expect(read(`${work}/env`)).not.toMatch(/^(BUN_|SYSMGR_UPGRADE)/m);
});

scenario("the limit on open descriptors is the one that pmtr was started with", async (p) => {
  p.edit(job("web", STAYS));
  const wrapper = ["sh", "-c", 'ulimit -S -n 333; "$@"', "sh"];
  const pmtr = await p.start({ wrapper });
  const pid = await p.runs("web");
  expect(read(`/proc/${pid}/limits`)).toMatch(/^Max open files +333 /m);
  // The shell between is what was started.
  const [own] = Bun.spawnSync(["pgrep", "-P", String(pmtr.pid)])
    .stdout.toString()
    .split("\n");
  kill(Number(own), "SIGTERM");
  expect(await pmtr.exited()).toBe(0);
});

scenario("the example's configuration has no errors", async (p) => {
  const found = await p.run(["-t", "-c", `${EXAMPLES}/pmtr.conf`]);
  expect(found).toEqual({ code: 0, out: "", err: "" });
});

scenario("the example runs as a service of sysmgr, and ends with it", async (p) => {
  Bun.spawnSync(["cp", "-r", EXAMPLES, `${p.box.sysdir}/pmtr`]);
  const env = { PATH: `${BIN}:${process.env.PATH}`, TMPDIR: p.box.dir, container: "test" };
  const sysmgr = await p.box.start({ env });
  expect((await p.box.run(["svctl", "start", "pmtr"])).code).toBe(0);
  await sysmgr.says(/^pmtr: sleeper: started, pid \d+$/m);
  await sysmgr.says(/^pmtr: clock: started, pid \d+$/m);
  await sysmgr.stop();
});

scenario("the scripts for other systems are scripts", async () => {
  for (const file of ["run", "pmtr.openrc"]) {
    expect(Bun.spawnSync(["sh", "-n", `${EXAMPLES}/${file}`]).exitCode).toBe(0);
  }
  expect(read(`${EXAMPLES}/pmtr.service`)).toContain("KillMode=process");
  expect(read(`${EXAMPLES}/inittab`)).toMatch(/^pm:2345:respawn:\S+ -F -c \S+$/m);
});
