/** What the machine refuses: descriptors, processes, time, standard streams, a place to write. */
import { expect } from "bun:test";
import { chownSync } from "node:fs";
import { exists, list, makeDirectory, place, read, touch } from "../../lib/files.ts";
import { descriptors, kill, lives, readStat } from "../../lib/processes.ts";
import type { Sandbox } from "../../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../../lib/scenario.ts";
import { STAY, trapping } from "../../lib/service.ts";
import type { Supervisor } from "../../lib/supervisor.ts";
import { until } from "../../lib/until.ts";

const canLimit = have.root && Bun.which("prlimit") !== null;

/** A sysmgr that can be denied any further descriptor. */
class Scarcity {
  private readonly before: string;

  constructor(
    private readonly box: Sandbox,
    private readonly sysmgr: Supervisor,
  ) {
    const limits = read(`/proc/${sysmgr.pid}/limits`)?.match(/^Max open files +(\d+) +(\d+)/m);
    this.before = `${limits?.[1]}:${limits?.[2]}`;
  }

  private async limit(value: string): Promise<void> {
    const command = ["prlimit", `--pid=${this.sysmgr.pid}`, `--nofile=${value}`];
    expect(await this.box.run(command)).toEqual({ code: 0, out: "", err: "" });
  }

  /** The hard limit stays: what services get is not what is tested. */
  async begin(): Promise<void> {
    // What is open now and then is not what is open.
    await this.sysmgr.answers();
    let open = new Set(descriptors(this.sysmgr.pid).keys());
    for (let look = 0; look < 20; look++) {
      await Bun.sleep(5);
      open = open.intersection(new Set(descriptors(this.sysmgr.pid).keys()));
    }
    // The first gap is what open(2) would return: all below are taken.
    const free = Array.from({ length: open.size + 1 }, (_, i) => i).find((i) => !open.has(i));
    await this.limit(`${free ?? 3}:${this.before.split(":")[1]}`);
  }

  async end(): Promise<void> {
    await this.limit(this.before);
  }
}

// ------------------------------------------------------------- no descriptor (EMFILE)

scenario(
  "without a free descriptor nobody is stopped, and who ends is started again",
  async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    const sysmgr = await box.start();
    const [pid, other] = [await web.aged(1000), await db.running()];
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    sysmgr.signal("SIGALRM");
    kill(pid, "SIGKILL");
    await until(() => sysmgr.count(/web: started/) === 2, "web is started again");
    sysmgr.signal("SIGALRM");
    await sysmgr.says(/Too many open files/);
    await scarcity.end();
    sysmgr.signal("SIGALRM");
    const next = await web.running();
    expect([lives(other), db.starts.length, web.starts.length]).toEqual([true, 1, 2]);
    for (const service of [web, db]) {
      expect(service.status.wanted).toBe("up");
      expect(service.status.start).toBe(String(readStat(service.pid ?? 0)?.started));
    }
    expect(next).not.toBe(pid);
  },
  canLimit,
);

scenario(
  "a directory is started again without a free descriptor only if all that it says is known",
  async (box) => {
    const hup = `trap 'trace hup; exit' HUP\ntrace ready\nwhile :; do sleep 3600 & wait $!; done`;
    const job = box.declare("job").installDirectory(hup, {}, { "stop-signal": "HUP\n" });
    const web = box.declare("web").installDirectory();
    const sysmgr = await box.start();
    const [pid, other] = [await job.aged(1000), await web.aged(1000)];
    await job.traced("ready");
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    for (const each of [pid, other]) kill(each, "SIGKILL");
    await sysmgr.says(/job: cannot start: stop-signal: Too many open files/);
    await until(() => sysmgr.count(/web: started/) === 2, "web is started again");
    sysmgr.signal("SIGALRM");
    await sysmgr.says(/cannot read SYSDIR: Too many open files/);
    expect(job.starts).toEqual([pid]);
    await scarcity.end();
    await job.runningAfter(pid);
    expect([job.status.runs, sysmgr.count(/job: cannot start/)]).toEqual(["2", 1]);
    await job.traced("ready", 2);
    await job.command("down");
    await job.traced("hup");
    await job.is("down");
  },
  canLimit,
);

scenario(
  "a directory that comes without a free descriptor is not started if it is to be down",
  async (box) => {
    const [web, idle] = [box.service("web"), box.declare("idle")];
    const sysmgr = await box.start();
    const pid = await web.running();
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    idle.installDirectory(STAY, {}, { down: "" });
    await sysmgr.says(/idle: cannot start: down: Too many open files/);
    expect(exists(idle.directory)).toBe(false);
    await scarcity.end();
    // By itself: nobody scans for it.
    await idle.is("down");
    await sysmgr.answers();
    expect([idle.starts, exists(idle.file("lock")), web.pid]).toEqual([[], true, pid]);
    await idle.command("up");
    await idle.running();
  },
  canLimit,
);

scenario(
  "what was started without a free descriptor is taken over by a successor",
  async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    const pid = await web.aged(1000);
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    kill(pid, "SIGKILL");
    // Told, not only done: while it spawns, sysmgr's limits are not its own.
    await until(() => sysmgr.count(/web: started/) === 2, "web is started again");
    await scarcity.end();
    const next = await web.runningAfter(pid);
    await sysmgr.crash();
    const successor = await box.start();
    await successor.answers();
    expect([web.pid, web.starts.length]).toEqual([next, 2]);
  },
  canLimit,
);

scenario(
  "one that was killed while it had no free descriptor leaves no status that is past",
  async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    const pid = await web.aged(1000);
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    kill(pid, "SIGKILL");
    await until(() => sysmgr.count(/web: started/) === 2, "web is started again");
    expect([exists(web.file("status")), exists(web.file("pid"))]).toEqual([false, false]);
    await until(() => web.starts.length === 2, "it has begun");
    await sysmgr.crash();
    const successor = await box.start();
    await successor.answers();
    expect([lives(web.starts.at(-1) ?? 0), web.starts.length]).toEqual([true, 2]);
    expect(web.pid).toBe(web.starts.at(-1) ?? 0);
  },
  canLimit,
);

scenario(
  "what was taken over is neither lost nor doubled for want of descriptors",
  async (box) => {
    const tidy = `trap 'kill $!; exit' TERM\n${trapping("HUP")}`;
    const [web, db] = [box.service("web", tidy), box.service("db")];
    const first = await box.start();
    await web.traced("ready");
    const [pid, other] = [await web.running(), await db.running()];
    await first.crash();
    const second = await box.start();
    await second.answers();
    const scarcity = new Scarcity(box, second);
    await scarcity.begin();
    touch(web.file("control/hup"));
    second.signal("SIGALRM");
    kill(other, "SIGKILL");
    await until(() => second.count(/db: started/) === 1, "db's end is noticed, and answered");
    await scarcity.end();
    second.signal("SIGALRM");
    await web.traced("HUP");
    await db.running();
    expect([web.pid, web.starts.length, db.starts.length]).toEqual([pid, 1, 2]);
    await until(() => web.box.length === 0, "the command is answered");
  },
  canLimit,
);

scenario(
  "commands, markers and entries that come without a free descriptor are obeyed later",
  async (box) => {
    const [told, web, db] = [
      box.service("told", trapping("HUP")),
      box.service("web"),
      box.service("db"),
    ];
    const late = box.declare("late");
    const sysmgr = await box.start();
    await told.traced("ready");
    const pid = await web.running();
    await db.running();
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    touch(told.file("control/hup"));
    touch(web.file("control/restart"));
    db.mark();
    late.install();
    // Looked at as well as it can be.
    sysmgr.signal("SIGALRM");
    await sysmgr.says(/Too many open files/);
    await scarcity.end();
    // By itself: nobody scans for it.
    await told.traced("HUP");
    await web.runningAfter(pid);
    await db.is("down");
    await late.running();
    expect([told.starts.length, db.starts.length]).toEqual([1, 1]);
  },
  canLimit,
);

scenario(
  "an upgrade without a free descriptor is refused; a shutdown stops all the same",
  async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    const sysmgr = await box.start();
    const pids = [await web.running(), await db.running()];
    const scarcity = new Scarcity(box, sysmgr);
    await scarcity.begin();
    sysmgr.signal("SIGUSR2");
    await sysmgr.says(/cannot upgrade: .*(Too many open files|not a file)/);
    sysmgr.signal("SIGTERM");
    expect(await sysmgr.exited()).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
  },
  canLimit,
);

// ---------------------------------------------------------------- no process (EAGAIN)

patientScenario(
  "a full process table: it lives, says so once, refuses an upgrade, and goes on after it",
  async (box) => {
    // A user of our own: the limit counts all processes of a user.
    const uid = String(300_000 + (process.pid % 100_000));
    await box.run(["chown", "-R", uid, box.sysdir]);
    await box.run(["sh", "-c", `mkdir ${box.rundir}; chown ${uid} ${box.rundir}`]);
    const as = ["setpriv", `--reuid=${uid}`, "--clear-groups", "--"];
    const [web, db] = [box.service("web"), box.service("db")];
    for (const service of [web, db]) chownSync(service.entry, Number(uid), 0);
    const sysmgr = await box.start({ wrapper: as });
    const limit = async (n: number) => {
      const command = ["prlimit", `--pid=${sysmgr.pid}`, `--nproc=${n}:1000`];
      expect(await box.run(command, { wrapper: as })).toEqual({ code: 0, out: "", err: "" });
    };
    const [pid, other] = [await web.aged(1000), await db.running()];
    await limit(1);
    kill(pid, "SIGKILL");
    await sysmgr.says(/web: cannot start: Resource temporarily unavailable/);
    sysmgr.signal("SIGUSR2");
    await sysmgr.says(/cannot upgrade: /);
    sysmgr.signal("SIGALRM");
    await web.is("backoff");
    const { next } = web.status;
    await until(() => web.status.next !== next, "it is tried again");
    expect([db.pid, lives(other)]).toEqual([other, true]);
    await db.command("down");
    await db.is("down");
    await limit(1000);
    await web.running();
    expect(sysmgr.count(/web: cannot start/)).toBe(1);
    expect(web.starts.length).toBe(2);
  },
  have.setpriv && canLimit,
);

// ------------------------------------------------------------------- stopped for a time

patientScenario("STOP and CONT of sysmgr: all that came meanwhile is answered", async (box) => {
  const names = ["ended", "told", "marked", "again", "still"];
  const services = names.map((name) => box.service(name, trapping("HUP")));
  const [ended, told, marked, again, still] = services;
  const late = box.declare("late");
  const sysmgr = await box.start();
  for (const service of services) await service.traced("ready");
  await services.at(-1)?.aged(1000);
  const pids = await Promise.all(services.map((s) => s.running()));
  await sysmgr.pause();
  kill(pids[0] ?? 0, "SIGKILL");
  touch(told?.file("control/hup") ?? "");
  marked?.mark();
  touch(again?.file("control/restart") ?? "");
  late.install();
  for (let i = 0; i < 200; i++) sysmgr.signal(i % 2 ? "SIGALRM" : "SIGCHLD");
  expect(services.map((s) => s.starts.length)).toEqual([1, 1, 1, 1, 1]);
  sysmgr.signal("SIGCONT");
  await ended?.runningAfter(pids[0] ?? 0);
  await told?.traced("HUP");
  await marked?.is("down");
  await again?.runningAfter(pids[3] ?? 0);
  await late.running();
  expect(ended?.status.exit).toBe("signal KILL");
  expect(still?.pid).toBe(pids[4] ?? 0);
});

patientScenario("a STOP in the middle of a shutdown lets it end after CONT", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  const sysmgr = await box.start();
  await web.traced("ready");
  sysmgr.signal("SIGTERM");
  await sysmgr.says(/stopping/);
  sysmgr.signal("SIGSTOP");
  sysmgr.signal("SIGTERM");
  sysmgr.signal("SIGCONT");
  expect(await sysmgr.exited()).toBe(0);
});

// ------------------------------------------------------------------- standard streams

for (const [what, redirections] of [
  ["closed", "<&- >&- 2>&-"],
  ["closed but for standard error", "<&- >&-"],
  ["full", "</dev/null >/dev/full 2>/dev/full"],
  ["read-only", "</dev/null >&0 2>&0"],
] as const) {
  scenario(
    `standard streams that are ${what}: services get no descriptor of sysmgr's`,
    async (box) => {
      const web = box.service("web");
      const wrapper = ["sh", "-c", `exec "$@" ${redirections}`, "sh"];
      const sysmgr = await box.start({ wrapper });
      const streams = async () => {
        const pid = await web.running();
        await until(() => read(`/proc/${pid}/cmdline`)?.startsWith("sleep"), "web has begun");
        // Its loader has a library open for a moment, under any number that is free.
        const strange = ([fd, path]: [number, string]) =>
          fd > 2 || !/^\/dev\/(null|full)$|\/output/.test(path);
        const bare = () => ![...descriptors(pid)].some(strange);
        await until(bare, "web has no descriptor but its standard streams");
        expect(descriptors(pid).get(0)).toBe("/dev/null");
        return pid;
      };
      for (let round = 0; round < 3; round++) {
        const pid = await streams();
        sysmgr.signal("SIGUSR2");
        await sysmgr.answers();
        await web.command("restart");
        await web.runningAfter(pid);
      }
      await streams();
    },
  );
}

// --------------------------------------------------------------------- places

scenario(
  "a RUNDIR on a read-only file system is refused: one line, exit 1",
  async (box) => {
    makeDirectory(box.rundir);
    const mount = `mount -t tmpfs -o ro,mode=755 run ${box.rundir} && exec "$@"`;
    const wrapper = ["unshare", "-m", "sh", "-c", mount, "sh"];
    for (const path of [box.rundir, `${box.rundir}/below`]) {
      const { code, out, err } = await box.run(["sysmgr", "-r", path], { wrapper });
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toMatch(/^sysmgr: cannot \w+ [^\n]*: Read-only file system\n$/);
    }
  },
  have.mounts,
);

scenario(
  "file systems without exec for RUNDIR and TMPDIR do not matter",
  async (box) => {
    const web = box.service("web");
    makeDirectory(box.rundir);
    const tmp = `${box.dir}/tmp`;
    makeDirectory(tmp);
    const mounts = [box.rundir, tmp].map(
      (dir) => `mount -t tmpfs -o mode=755,noexec,nosuid,nodev none ${dir}`,
    );
    const wrapper = ["unshare", "-m", "sh", "-c", `${mounts.join(" && ")} && exec "$@"`, "sh"];
    const sysmgr = await box.start({ wrapper, elsewhere: true, env: { TMPDIR: tmp, HOME: tmp } });
    const pid = await web.running();
    sysmgr.signal("SIGUSR2");
    await sysmgr.says(/took over 1/);
    await web.command("restart");
    await web.runningAfter(pid);
    expect(list(`/proc/${sysmgr.pid}/root${tmp}`)).toEqual([]);
  },
  have.mounts,
);

scenario(
  "a root file system that is read-only, but for RUNDIR, is enough",
  async (box) => {
    const web = box.declare("web");
    place(web.entry, `#!/bin/sh\necho start $$ >>${box.rundir}/.trace\n${STAY}\n`, 0o755);
    makeDirectory(box.rundir);
    const script = `mount -o bind ${box.dir} ${box.dir} && mount -t tmpfs -o mode=755 none ${box.rundir} &&
mount -o remount,ro,bind ${box.dir} && mount -o bind / / && mount -o remount,ro,bind / ; exec "$@"`;
    const wrapper = ["unshare", "-m", "sh", "-c", script, "sh"];
    const sysmgr = await box.start({ wrapper, elsewhere: true });
    const traced = () => read(`/proc/${sysmgr.pid}/root${box.rundir}/.trace`);
    await until(traced, "web runs");
    await until(() => web.pid !== null, "its pid is written");
    const pid = web.pid;
    await web.command("restart");
    await until(() => web.pid !== pid && web.pid !== null, "it is restarted");
  },
  have.mounts,
);

scenario(
  "a uid that nobody knows, without HOME, is a user like any other",
  async (box) => {
    const uid = 400_000 + (process.pid % 100_000);
    const web = box.service("web", `id -u >"${box.dir}/trace/uid"; trace seen\n${STAY}`);
    makeDirectory(box.rundir);
    chownSync(box.rundir, uid, uid);
    const wrapper = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
    const sysmgr = await box.start({ wrapper });
    await web.traced("seen");
    const pid = await web.running();
    expect(read(`${box.dir}/trace/uid`)).toBe(`${uid}\n`);
    expect(await box.run(["svctl", "restart", "web"], { wrapper })).toMatchObject({
      code: 0,
      err: "",
    });
    await web.runningAfter(pid);
    sysmgr.signal("SIGUSR2");
    await sysmgr.says(/took over 1|cannot upgrade/);
    expect(sysmgr.count(/cannot/)).toBe(0);
    await sysmgr.crash();
    await (await box.start({ wrapper })).answers();
    expect(web.starts.length).toBe(2);
  },
  have.setpriv,
);

scenario(
  "without /proc it does not start: the runtime aborts",
  async (box) => {
    const web = box.service("web");
    const wrapper = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"', "sh"];
    const { code, out } = await box.run(["sysmgr"], { wrapper });
    // The runtime aborts before our first line; nothing of ours was touched.
    expect(code).not.toBe(0);
    expect([out, web.starts, exists(box.rundir)]).toEqual(["", [], false]);
  },
  have.mounts,
);
