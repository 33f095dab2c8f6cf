/** RUNDIR is missing, full, or removed: services live on, and it is healed. */
import { expect } from "bun:test";
import { chmodSync, chownSync, lstatSync, statSync } from "node:fs";
import {
  append,
  exists,
  link,
  list,
  makeDirectory,
  raw,
  read,
  remove,
  rename,
  touch,
  write,
} from "../lib/files.ts";
import { children, kill } from "../lib/processes.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { STAY, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** Root without the power to write where the mode says no. */
const HUMBLE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];

const isDirectory = (path: string) => exists(path) && lstatSync(raw(path)).isDirectory();

scenario("a RUNDIR that is missing is made, with what leads to it", async (box) => {
  const web = box.service("web");
  box.rundir = `${box.dir}/a/b/run`;
  await box.start();
  await web.running();
  expect(isDirectory(`${box.dir}/a/b/run/web/control`)).toBeTrue();
});

scenario("a RUNDIR that cannot be is said to be so: one line, exit 1", async (box) => {
  write(`${box.dir}/file`, "");
  link("loop", `${box.dir}/loop`);
  for (const path of ["file", "file/below", "loop"]) {
    const { code, out, err } = await box.run(["sysmgr", "-r", `${box.dir}/${path}`]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^sysmgr: cannot open .*: .*\n$/);
  }
});

scenario(
  "a RUNDIR that cannot be made or written in is said to be so: one line, exit 1",
  async (box) => {
    const wrapper = HUMBLE;
    makeDirectory(`${box.dir}/closed/run`);
    chmodSync(`${box.dir}/closed/run`, 0o555);
    chmodSync(`${box.dir}/closed`, 0o555);
    for (const path of ["closed/run", "closed/other"]) {
      const { code, out, err } = await box.run(["sysmgr", "-r", `${box.dir}/${path}`], { wrapper });
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toMatch(/^sysmgr: cannot \w+ .*: .*\n$/);
    }
  },
  have.setpriv,
);

patientScenario(
  "a RUNDIR that cannot be written in any more: said once, healed later",
  async (box) => {
    const [web, other] = [box.service("web"), box.service("other")];
    const sysmgr = await box.start({ wrapper: HUMBLE });
    const [pid, untouched] = [await web.aged(1000), await other.running()];
    chmodSync(box.rundir, 0o555);
    for (const dir of ["web", "other"]) chmodSync(`${box.rundir}/${dir}`, 0o555);
    kill(pid, "SIGKILL");
    await until(() => web.starts.length === 2, "web is started again");
    await sysmgr.says(/cannot write status of web: Permission denied/);
    kill(web.starts.at(-1) ?? 0, "SIGKILL");
    await until(() => web.starts.length === 3, "and again");
    for (const dir of ["", "web", "other"]) chmodSync(`${box.rundir}/${dir}`, 0o755);
    await web.running();
    await sysmgr.says(/RUNDIR: written again/);
    expect(sysmgr.count(/cannot write/)).toBe(1);
    expect(other.pid).toBe(untouched);
  },
  have.setpriv,
);

for (const [what, limit] of [
  ["full", "size=128k"],
  ["out of inodes", "nr_inodes=40"],
] as const) {
  patientScenario(
    `a RUNDIR on a disk that is ${what}: said once, healed later`,
    async (box) => {
      const web = box.service("web", trapping("HUP"));
      const [other, late] = [box.service("other"), box.declare("late")];
      makeDirectory(box.rundir);
      const mount = `mount -t tmpfs -o mode=755,${limit} run ${box.rundir} && exec "$@"`;
      const wrapper = ["unshare", "-m", "sh", "-c", mount, "sh"];
      const sysmgr = await box.start({ wrapper, elsewhere: true });
      const [pid, untouched] = [await web.aged(1000), await other.running()];
      await web.traced("ready");

      const junk = `/proc/${sysmgr.pid}/root${box.rundir}/.junk`;
      makeDirectory(junk);
      expect(() => {
        for (let i = 0; ; i++) append(`${junk}/${i}`, "x".repeat(4096));
      }).toThrow(/ENOSPC/);

      kill(pid, "SIGKILL");
      // What was told of its last life makes room for this one.
      const next = await web.runningAfter(pid);
      late.install();
      await until(() => late.starts.length === 1, "a new service is started all the same");
      // What is removed makes room when the last reader has closed it: the first may be web.
      await sysmgr.says(/cannot (make|write (pid|status) of) (web|late): No space left on device/);
      await web.traced("ready", 2);

      remove(junk);
      expect(await web.running()).toBe(next);
      await late.running();
      await sysmgr.says(/RUNDIR: written again/);
      // A file that goes makes room for another: then the trouble may end and begin again.
      const again = () => sysmgr.count(/written again/);
      await until(() => sysmgr.count(/cannot /) === again(), "each trouble is said once, and over");
      expect([other.pid, other.starts.length]).toEqual([untouched, 1]);
      await late.command("down");
      await late.is("down");
      await web.command("hup");
      await web.traced("HUP");
      expect(web.starts.length).toBe(2);
    },
    have.mounts,
  );
}

/**
 * Takes every block of a directory's file system, and each one that comes free, until it is content
 * with those that it has, or is told to give them back.
 */
function fill(directory: string): { beContent(): void; giveBack(): void } {
  const junk = `${directory}/.junk`;
  const more = () => {
    try {
      for (;;) append(junk, "x".repeat(4096));
    } catch {
      // full
    }
  };
  more();
  const timer = setInterval(more, 5);
  const beContent = () => clearInterval(timer);
  const giveBack = () => {
    beContent();
    remove(junk);
  };
  return { beContent, giveBack };
}

patientScenario(
  "with RUNDIR full what cannot be written is not tried without end, and orders are obeyed",
  async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    makeDirectory(box.rundir);
    const mount = `mount -t tmpfs -o mode=755,size=128k run ${box.rundir} && mkdir ${box.rundir}/web && : >${box.rundir}/web/lock && exec "$@"`;
    const sysmgr = await box.start({
      wrapper: ["unshare", "-m", "sh", "-c", mount, "sh"],
      elsewhere: true,
    });
    await db.running();
    await web.is("down");
    const rundir = `/proc/${sysmgr.pid}/root${box.rundir}`;
    const { giveBack } = fill(rundir);
    try {
      web.unmark();
      await until(() => sysmgr.count(/web: started/) === 1, "web is started");
      // It is written anew as often as is tried, which makes a new file.
      const seen = new Set<number>();
      for (const end = performance.now() + 500; performance.now() < end; await Bun.sleep(1))
        seen.add(statSync(web.file("status"), { throwIfNoEntry: false })?.ino ?? 0);
      expect(seen.size).toBeLessThan(10);

      remove(`${rundir}/pid`);
      touch(`${rundir}/.control/scan`);
      const left = () => list(`${rundir}/.control`).filter((file) => file.endsWith("scan"));
      await until(() => left().length === 0, "the order is obeyed");
    } finally {
      giveBack();
    }
    expect(await web.running()).toBe(web.starts[0] ?? 0);
    await until(() => read(`${rundir}/pid`) === `${sysmgr.pid}\n`, "its pid is told again");
    expect([web.starts.length, db.starts.length]).toEqual([1, 1]);
  },
  have.mounts,
);

for (const early of [true, false]) {
  patientScenario(
    `a successor takes over what was started with RUNDIR full, ${early ? "once there is room" : "full or not"}`,
    async (box) => {
      const [web, db] = [box.service("web"), box.service("db")];
      makeDirectory(box.rundir);
      const mount = `mount -t tmpfs -o mode=755,size=128k run ${box.rundir} && exec "$@"`;
      const first = await box.start({
        wrapper: ["unshare", "-m", "sh", "-c", mount, "sh"],
        elsewhere: true,
      });
      const [pid, other] = [await web.aged(1000), await db.running()];
      const { beContent, giveBack } = fill(`/proc/${other}/root${box.rundir}`);
      try {
        kill(pid, "SIGKILL");
        await until(() => first.count(/web: started/) === 2, "web is started again");
        await first.crash();
        if (early) giveBack();
        // It needs a block for its pid: it gets that of the pid which is there.
        else beContent();
        const wrapper = ["nsenter", `--mount=/proc/${other}/ns/mnt`, "--"];
        await box.start({ wrapper, elsewhere: true });
      } finally {
        giveBack();
      }
      expect(await web.running()).toBe(web.starts.at(-1) ?? 0);
      expect([web.starts.length, db.pid, db.starts.length]).toEqual([2, other, 1]);
      expect(
        (
          await box.run(["svctl", "restart", "web"], {
            wrapper: ["nsenter", `--mount=/proc/${other}/ns/mnt`, "--"],
          })
        ).code,
      ).toBe(0);
      await until(() => web.starts.length === 3, "it obeys");
    },
    have.mounts && have.nsenter,
  );
}

scenario(
  "a RUNDIR that is removed is made again: services and stop markers are kept",
  async (box) => {
    const [web, db, mail] = [box.service("web"), box.service("db"), box.service("mail")];
    const sysmgr = await box.start();
    const pids = [await web.running(), await db.running()];
    await mail.running();
    await mail.command("down");
    await mail.is("down");
    await db.command("once");
    // In one moment, as sysmgr sees it.
    sysmgr.signal("SIGSTOP");
    remove(box.rundir);
    sysmgr.signal("SIGCONT");
    await sysmgr.says(/RUNDIR was removed; made again/);
    await sysmgr.answers();
    await until(() => web.pid === pids[0] && db.pid === pids[1], "their pids are there again");
    expect(read(`${box.rundir}/pid`)).toBe(`${sysmgr.pid}\n`);
    expect([web.starts.length, db.starts.length, mail.starts.length]).toEqual([1, 1, 1]);
    expect([mail.status.wanted, db.status.wanted]).toEqual(["down", "once"]);
    expect([read(mail.file("lock")), read(db.file("lock"))]).toEqual(["", "once\n"]);
    mail.unmark();
    await mail.running();
    await web.command("down");
    await web.is("down");
    const second = await box.run(["sysmgr", "-d", box.sysdir, "-r", box.rundir]);
    expect(second.err).toContain("another sysmgr works there");
  },
);

scenario("rm -rf RUNDIR, again and again, against a sysmgr that makes it again", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  const pids = [await web.running(), await db.running()];
  for (let i = 0; i < 10; i++) {
    // Some of it is made again while rm is still at it, which rm says.
    await box.run(["rm", "-rf", box.rundir]);
    await until(() => web.pid === pids[0] && db.pid === pids[1], "their pids are there again");
    await until(() => read(`${box.rundir}/pid`) === `${sysmgr.pid}\n`, "sysmgr's is there again");
    await sysmgr.answers();
  }
  expect((await box.run(["sysmgr"])).err).toContain("another sysmgr works there");
  expect([web.starts.length, db.starts.length]).toEqual([1, 1]);
});

const NOBODY = 65534;

for (const [what, plant, reason] of [
  [
    "a directory of another user",
    (path: string) => {
      makeDirectory(path);
      chownSync(raw(path), NOBODY, NOBODY);
    },
    "it belongs to uid 65534",
  ],
  [
    "a link to a directory of root's",
    (path: string, other: string) => link(other, path),
    "it is another link than before",
  ],
] as const) {
  patientScenario(
    `a RUNDIR in whose place ${what} is put is not used: said once, healed later`,
    async (box) => {
      const web = box.service("web", `echo hello\n${STAY}`);
      const sysmgr = await box.start({ args: ["--prefix"] });
      const pid = await web.running();
      await sysmgr.says(/^web \| hello\n/m);
      const other = `${box.dir}/other`;
      makeDirectory(other);
      // In one moment, as sysmgr sees it.
      sysmgr.signal("SIGSTOP");
      remove(box.rundir);
      plant(box.rundir, other);
      sysmgr.signal("SIGCONT");
      await sysmgr.says(/^sysmgr: cannot use .*\n/m);
      const [prefix] = children(sysmgr.pid).filter((p) => p.pid !== pid);
      kill(prefix?.pid ?? 0, "SIGKILL");
      // Some tries later.
      for (const _ of [1, 2, 3]) {
        sysmgr.signal("SIGALRM");
        await Bun.sleep(1_000);
      }
      expect([list(box.rundir), list(other)]).toEqual([[], []]);
      expect(sysmgr.count(/^sysmgr: cannot use/)).toBe(1);
      expect(sysmgr.messages).toContain(`cannot use ${box.rundir}: ${reason}\n`);
      remove(box.rundir);
      await until(() => web.pid === pid, "web is written down again");
      await sysmgr.says(/RUNDIR was removed; made again/);
      await sysmgr.answers();
      expect(web.starts.length).toBe(1);
    },
    have.root,
  );
}

scenario("a RUNDIR that is a link, and is made again where that leads, is used", async (box) => {
  const web = box.service("web");
  const real = `${box.dir}/real`;
  makeDirectory(real);
  link(real, box.rundir);
  const sysmgr = await box.start();
  const pid = await web.running();
  sysmgr.signal("SIGSTOP");
  remove(real);
  makeDirectory(real);
  sysmgr.signal("SIGCONT");
  await until(() => web.pid === pid, "web is written down again");
  await sysmgr.answers();
  expect(web.starts.length).toBe(1);
});

scenario("a RUNDIR that is moved away is made again", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  rename(box.rundir, `${box.dir}/away`);
  await until(() => web.pid === pid, "web is written down again");
  web.mark();
  await web.is("down");
  // What is done in the old one is nobody's business.
  touch(`${box.dir}/away/web/control/up`);
  await sysmgr.answers();
  expect(web.status.state).toBe("down");
});

scenario("a service's directory that is removed is made again, its marker too", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  const pid = await web.running();
  await db.running();
  await db.command("down");
  await db.is("down");
  for (const service of [web, db]) rename(service.directory, `${box.dir}/away.${service.name}`);
  await until(() => web.pid === pid, "web's is made again");
  await until(() => exists(db.file("lock")), "db's marker is made again");
  // The marker is written first, then the status.
  await db.is("down");
  await until(() => /starting|up/.test(web.status.state ?? ""), "web's status is made again");
  expect(db.starts.length).toBe(1);
  await web.command("restart");
  await web.runningAfter(pid);
  db.unmark();
  await db.running();
});

scenario("a service's drop box, status or pid that is removed is made again", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  for (const file of ["control", "status", "pid"]) {
    remove(web.file(file));
    await until(() => exists(web.file(file)), `${file} is there again`);
  }
  await until(() => web.pid === pid, "pid is there again");
  await until(() => web.status.pid === String(pid), "status is there again");
  await until(() => isDirectory(web.file("control")), "control is there again");
  await web.command("restart");
  await web.runningAfter(pid);
});

scenario("sysmgr's own drop box and pid that are removed are made again by a scan", async (box) => {
  const sysmgr = await box.start();
  remove(`${box.rundir}/.control`);
  remove(`${box.rundir}/pid`);
  sysmgr.signal("SIGALRM");
  await until(() => isDirectory(`${box.rundir}/.control`), "the drop box is there again");
  await until(() => read(`${box.rundir}/pid`) === `${sysmgr.pid}\n`, "pid is there again");
  await sysmgr.answers();
});

scenario("a lock file that is removed is made again, and lets nobody in", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  remove(`${box.rundir}/.lock`);
  await until(() => exists(`${box.rundir}/.lock`), "the lock is there again");
  await sysmgr.answers();
  const second = await box.run(["sysmgr"]);
  expect(second).toMatchObject({ code: 1, err: expect.stringContaining("another sysmgr works") });
  expect(web.pid).toBe(pid);
});
