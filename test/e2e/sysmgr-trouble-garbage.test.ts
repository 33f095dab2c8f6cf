/** RUNDIR holds what sysmgr never wrote: it is not believed, not followed, and not in the way. */
import { expect } from "bun:test";
import {
  link,
  list,
  makeDirectory,
  place,
  read,
  remove,
  rename,
  touch,
  write,
} from "../lib/files.ts";
import { kill, lives, readStat } from "../lib/processes.ts";
import { scenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const HUGE = "x".repeat(10_000_000);
const BYTES = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));

scenario("what stands in the place of its directories makes way", async (box) => {
  const [web, db, mail] = [box.service("web"), box.service("db"), box.service("mail")];
  makeDirectory(box.rundir);
  makeDirectory(`${box.dir}/outside`);
  write(`${box.rundir}/web`, "a file");
  link(`${box.dir}/outside`, `${box.rundir}/db`);
  makeDirectory(mail.directory);
  link(`${box.dir}/outside`, mail.file("control"));
  write(`${box.rundir}/.control`, "a file");
  await box.start();
  for (const service of [web, db, mail]) {
    const pid = await service.running();
    await service.command("restart");
    await service.runningAfter(pid);
  }
  expect(list(`${box.dir}/outside`)).toEqual([]);
});

scenario("links in RUNDIR are never followed", async (box) => {
  const web = box.service("web");
  write(`${box.dir}/secret`, "once\n");
  const sysmgr = await box.start();
  const pid = await web.running();
  // In one moment, as sysmgr sees it: else it would make the missing ones again.
  sysmgr.signal("SIGSTOP");
  for (const file of ["status", "pid"]) {
    remove(web.file(file));
    link(`${box.dir}/secret`, web.file(file));
  }
  link(`${box.dir}/secret`, `${box.rundir}/.new`);
  link(`${box.dir}/secret`, web.file("control/hup"));
  place(web.file("lock.staged"), "");
  await box.run(["ln", "-sf", `${box.dir}/secret`, web.file("lock")]);
  sysmgr.signal("SIGCONT");
  await sysmgr.answers();
  await web.is("down");
  expect(web.status.wanted).toBe("down");
  expect(readStat(pid)).toBeNull();
  expect(read(`${box.dir}/secret`)).toBe("once\n");
  remove(web.file("lock"));
  remove(web.file("control/hup"));
});

for (const [what, content] of [
  ["every byte there is", BYTES],
  ["ten megabytes", HUGE],
  ["once, and ten megabytes", `once${HUGE}`],
  ["once, and a NUL", "once\0"],
  ["a negative signal", "-9"],
  ["a signal that there is not", "SIGNOTHING"],
  ["a number too large", "99999999999999999999"],
] as const) {
  scenario(`a stop marker that holds ${what} stops with TERM`, async (box) => {
    const [web, other] = [box.service("web"), box.service("other")];
    await box.start();
    await web.running();
    const pid = await other.running();
    place(web.file("lock"), content);
    await web.is("down");
    expect(web.status).toMatchObject({ wanted: "down", exit: "signal TERM" });
    web.unmark();
    await web.running();
    expect(other.pid).toBe(pid);
  });
}

for (const [what, content] of [
  ["nothing", ""],
  ["every byte there is", BYTES],
  ["ten megabytes", HUGE],
] as const) {
  scenario(
    `status and pid that hold ${what} are written again with the next change`,
    async (box) => {
      const web = box.service("web");
      const sysmgr = await box.start();
      const pid = await web.running();
      await web.is("up");
      write(web.file("status"), content);
      write(web.file("pid"), content);
      write(`${box.rundir}/pid`, content);
      await sysmgr.answers();
      const second = await box.run(["sysmgr", "-d", box.sysdir, "-r", box.rundir]);
      expect(second.code).toBe(1);
      expect(second.err).toContain("another sysmgr works there");
      await web.command("restart");
      await web.runningAfter(pid);
    },
  );

  scenario(`a successor takes a status that holds ${what} for none`, async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    const first = await box.start();
    const [pid, other] = [await web.running(), await db.running()];
    await first.crash();
    write(web.file("status"), content);
    await box.start();
    await web.runningAfter(pid);
    expect(db.pid).toBe(other);
    // Nobody can know any more whose this one was.
    kill(pid, "SIGKILL");
  });
}

scenario("a pid in status that is not the service's is left alone", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  // So that the stranger begins in another tick of the kernel's clock.
  const pid = await web.aged(20);
  await first.crash();
  const stranger = Bun.spawn(["sleep", "3600"], { env: box.environment });
  const status = read(web.file("status")) ?? "";
  write(web.file("status"), status.replace(/^pid=.*$/m, `pid=${stranger.pid}`));
  await box.start();
  const next = await web.runningAfter(pid);
  await web.command("down");
  await web.is("down");
  expect(next).not.toBe(stranger.pid);
  expect(lives(stranger.pid)).toBeTrue();
  stranger.kill();
  await stranger.exited;
  kill(pid, "SIGKILL");
});

scenario("what is no file in a drop box does nothing, and goes", async (box) => {
  const [web, other] = [box.service("web"), box.service("other")];
  const sysmgr = await box.start();
  const [pid, untouched] = [await web.running(), await other.running()];
  makeDirectory(`${box.dir}/kill/below`);
  rename(`${box.dir}/kill`, web.file("control/kill"));
  link("/etc/passwd", web.file("control/down"));
  await box.run(["mkfifo", web.file("control/term")]);
  await web.command("cont");
  await sysmgr.answers();
  await until(() => web.box.length === 0, "they are gone");
  expect(read("/etc/passwd")).toContain("root");
  expect([web.pid, other.pid]).toEqual([pid, untouched]);
  await web.command("down");
  await web.is("down");
});

scenario("what a command holds does not matter, not even ten megabytes", async (box) => {
  const web = box.service("web", trapping("USR1"));
  await box.start();
  await web.traced("ready");
  for (const content of [HUGE, BYTES]) await web.command("usr1", content);
  await web.traced("USR1", 1);
});

scenario("thousands of files in a drop box do not keep commands from being obeyed", async (box) => {
  const [web, other] = [box.service("web", trapping("HUP")), box.service("other")];
  const sysmgr = await box.start();
  const pid = await other.running();
  await web.traced("ready");
  for (let i = 0; i < 5000; i++) touch(web.file(`control/nonsense${i}`));
  await web.command("hup");
  await web.traced("HUP");
  await sysmgr.answers();
  expect(web.box.length).toBe(5000);
  expect(sysmgr.count(/not a command/)).toBeLessThanOrEqual(100);
  expect(other.pid).toBe(pid);
});

scenario("garbage in depends and waiting does not hold a shutdown up", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  for (const dir of ["depends", "waiting"]) {
    makeDirectory(web.file(`${dir}/directory`));
    for (const name of ["web", "..", "-x", "\xff", "a\nb", `${process.pid}`]) {
      if (name !== "..") write(web.file(`${dir}/${name}`), BYTES);
    }
    link("/", web.file(`${dir}/link`));
  }
  await sysmgr.answers();
  await web.is("up");
  await sysmgr.stop();
});
