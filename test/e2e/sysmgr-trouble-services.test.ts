/** Services that misbehave: the others never mind. */
import { expect } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { exists, list, place, read } from "../lib/files.ts";
import { children, kill, lives, readStat } from "../lib/processes.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { holds, until } from "../lib/until.ts";

const STUBBORN = "trap '' TERM\ntrace ready\nexec sleep 3600";

scenario("what a service forks is reaped when it ends, and holds up no restart", async (box) => {
  const web = box.service("web", "(sleep 3601 & trace child $!)\nexec sleep 3600");
  const sysmgr = await box.start();
  const pid = await web.running();
  const line = await until(() => web.lines.find((l) => l.startsWith("child ")), "web forks");
  const child = Number(line.slice(6));
  await web.command("restart");
  await web.runningAfter(pid);
  expect(lives(child)).toBeTrue();
  // What has forked it may not have ended yet.
  await until(() => readStat(child)?.ppid === sysmgr.pid, "it is sysmgr's");
  kill(child, "SIGKILL");
  await until(() => readStat(child) === null, "the child is reaped");
});

scenario("hundreds of orphans that end at once are reaped", async (box) => {
  const orphans = "i=0; while [ $i -lt 300 ]; do (sleep 0.1 &); i=$((i + 1)); done; trace forked";
  const web = box.service("web", `${orphans}\nexec sleep 3600`);
  const sysmgr = await box.start();
  const pid = await web.running();
  await web.traced("forked");
  await until(() => children(sysmgr.pid).length === 1, "only the service is left");
  expect(web.pid).toBe(pid);
});

scenario(
  "a service that ignores TERM is stopping until it is killed; nobody else waits",
  async (box) => {
    const [web, other] = [box.service("web", STUBBORN), box.service("other")];
    await box.start();
    await web.traced("ready");
    const [pid, untouched] = [await web.running(), await other.running()];
    await web.command("down");
    await web.is("stopping");
    await web.command("down");
    await web.command("term");
    expect(web.status).toMatchObject({ state: "stopping", wanted: "down", pid: String(pid) });
    await other.command("restart");
    await other.runningAfter(untouched);
    await web.command("up");
    expect(web.status).toMatchObject({ state: "stopping", wanted: "up", pid: String(pid) });
    await web.command("down");
    await web.command("kill");
    await web.is("down");
    expect(web.status.exit).toBe("signal KILL");
  },
);

scenario("a service that exits at once a hundred times is started a hundred times", async (box) => {
  const [web, other] = [box.service("web", "exit 1"), box.service("other")];
  const sysmgr = await box.start();
  const pid = await other.running();
  for (let i = 1; i < 100; i++) {
    await until(
      () => web.starts.length >= i && web.status.state === "backoff",
      `life ${i} is over`,
    );
    await web.command("up");
  }
  await until(() => web.starts.length >= 100, "a hundred lives");
  web.mark("once");
  await web.is("down");
  // A status is written first, then its message.
  await sysmgr.answers();
  const lives = web.starts.length;
  expect([web.status.runs, sysmgr.count(/web: exited with 1/)]).toEqual([String(lives), lives]);
  expect([other.pid, other.starts.length]).toEqual([pid, 1]);
});

scenario("a service that fills its stdout stops only itself", async (box) => {
  const fifo = `${box.dir}/fifo`;
  await box.run(["mkfifo", fifo]);
  const end = openSync(fifo, "r+");
  const web = box.service("web", "trace ready\nexec yes");
  const other = box.service("other");
  const sysmgr = await box.start({
    args: ["-v"],
    wrapper: ["sh", "-c", `exec "$@" >${fifo} 2>${fifo}`, "sh"],
  });
  await web.traced("ready");
  const stuck = () => readStat(web.pid ?? 0)?.state === "S";
  await until(stuck, "web waits for a reader");
  // Each of these is worth a message, which nobody reads.
  for (let i = 0; i < 100; i++) {
    const pid = await other.running();
    await other.command("restart");
    await other.runningAfter(pid);
  }
  expect(web.starts.length).toBe(1);
  await sysmgr.verify();
  await sysmgr.stop();
  closeSync(end);
});

scenario("sysmgr outlives the reader of its messages", async (box) => {
  const fifo = `${box.dir}/fifo`;
  await box.run(["mkfifo", fifo]);
  const end = openSync(fifo, "r+");
  const web = box.service("web");
  const sysmgr = await box.start({ wrapper: ["sh", "-c", `exec "$@" >${fifo} 2>${fifo}`, "sh"] });
  const pid = await web.running();
  closeSync(end);
  for (let i = 0; i < 5; i++) await web.command("restart");
  await web.runningAfter(pid);
  await sysmgr.verify();
});

scenario("a service that stops itself, or its whole session, is still ours", async (box) => {
  const web = box.service("web", "trace ready\nkill -STOP $$\nexec sleep 3600");
  await box.start();
  await web.traced("ready");
  const pid = await web.running();
  await until(() => readStat(pid)?.state === "T", "web has stopped itself");
  await web.command("restart");
  await until(() => web.pid !== pid, "the stopped one has gone");
  await web.command("down");
  await web.is("down");
});

scenario("a service that removes everything it finds in RUNDIR harms itself only", async (box) => {
  const other = box.service("other");
  const web = box.service("web", `rm -rf "$RUNDIR/$SYSMGR_SERVICE"; trace done\nexec sleep 3600`);
  const sysmgr = await box.start();
  const pid = await other.running();
  await web.traced("done");
  await sysmgr.answers();
  await web.is("up");
  expect([other.pid, web.starts.length]).toEqual([pid, 1]);
});

patientScenario(
  "a start that fails for want of processes is tried again",
  async (box) => {
    // A user of our own: the limit counts all processes of a user.
    const uid = String(200_000 + (process.pid % 100_000));
    await box.run(["chown", "-R", uid, box.sysdir]);
    await box.run(["sh", "-c", `mkdir ${box.rundir}; chown ${uid} ${box.rundir}`]);
    const as = ["setpriv", `--reuid=${uid}`, "--clear-groups", "--"];
    const sysmgr = await box.start({ wrapper: as });
    const limit = async (n: number) => {
      const command = ["prlimit", `--pid=${sysmgr.pid}`, `--nproc=${n}:1000`];
      expect(await box.run(command, { wrapper: as })).toEqual({ code: 0, out: "", err: "" });
    };
    await limit(1);
    const web = box.declare("web");
    place(web.entry, web.script(), 0o755);
    await sysmgr.says(/web: cannot start: Resource temporarily unavailable/);
    await web.is("backoff");
    expect(web.starts).toEqual([]);
    await limit(1000);
    await web.running();
    expect(sysmgr.count(/cannot start/)).toBe(1);
  },
  have.setpriv,
);

patientScenario("nothing grows while services come and go", async (box) => {
  const web = box.service("web", "exit 0");
  const sysmgr = await box.start({ args: ["-q"] });
  const memory = () => Number(read(`/proc/${sysmgr.pid}/status`)?.match(/RssAnon:\s+(\d+)/)?.[1]);
  const files = () => list(box.rundir).length + list(web.directory).length;
  const rush = async (lives: number) => {
    for (let i = 0; i < lives; i++) await web.command("up");
    await web.is("backoff");
  };
  await rush(200);
  const [before, count] = [memory(), files()];
  await rush(800);
  expect(files()).toBe(count);
  expect(memory()).toBeLessThan(before + 8_000);
  expect(exists(web.file("lock"))).toBeFalse();
  await holds(() => children(sysmgr.pid).length <= 1, "at most one child", 0.1);
});
