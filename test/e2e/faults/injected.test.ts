/** Errors of the kernel that no disk or limit gives on demand: put in by strace(1), and a shim. */
import { expect } from "bun:test";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory, touch, write } from "../../lib/files.ts";
import { kill, lives } from "../../lib/processes.ts";
import type { Sandbox } from "../../lib/sandbox.ts";
import { have, patientScenario } from "../../lib/scenario.ts";
import { STAY } from "../../lib/service.ts";
import type { Supervisor } from "../../lib/supervisor.ts";
import { until } from "../../lib/until.ts";

const tracing =
  Bun.which("strace") !== null &&
  Bun.spawnSync(["strace", "-qq", "-e", "trace=none", "true"]).exitCode === 0;

/** While it lasts, strace does that to these system calls of sysmgr: `error=EIO`, say. */
async function injected(
  sysmgr: Supervisor,
  calls: string,
  how: string,
  during: () => Promise<void>,
): Promise<void> {
  const child = Bun.spawn(
    ["strace", "-p", String(sysmgr.pid), "-e", `trace=${calls}`]
      .concat(["-e", `inject=${calls}:${how}`, "-e", "signal=none"])
      .concat(["-o", "/dev/null"]),
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  const reading = (async () => {
    for await (const part of child.stderr) said += new TextDecoder().decode(part);
  })();
  try {
    await until(() => said.includes("attached"), `strace has sysmgr: ${said}`);
    await during();
  } finally {
    // Let go in the midst of a call that is to fail, it would get yet another error.
    await sysmgr.pause();
    child.kill("SIGTERM");
    await child.exited;
    sysmgr.signal("SIGCONT");
    await reading;
  }
}

for (const [error, words] of [
  ["EIO", "Input/output error"],
  ["EROFS", "Read-only file system"],
] as const) {
  patientScenario(
    `${error} under RUNDIR is said once; services live on, and it is healed`,
    async (box) => {
      const [web, db, late] = [box.service("web"), box.service("db"), box.declare("late")];
      const sysmgr = await box.start();
      const [pid, other] = [await web.aged(1000), await db.running()];
      for (const service of [web, db]) await service.is("up");
      await injected(sysmgr, "renameat", `error=${error}`, async () => {
        kill(pid, "SIGKILL");
        await until(() => web.starts.length === 2, "web is started again");
        await sysmgr.says(new RegExp(`cannot write status of web: ${words}`));
        late.install();
        await until(() => late.starts.length === 1, "a new service is started all the same");
        for (let scan = 0; scan < 3; scan++) sysmgr.signal("SIGALRM");
        await until(() => sysmgr.count(/late: started/) === 1, "its start is told");
        expect([web.starts.length, late.starts.length]).toEqual([2, 1]);
      });
      await sysmgr.says(/RUNDIR: written again/);
      expect(await web.running()).toBe(web.starts.at(-1) ?? 0);
      await late.running();
      expect([db.pid, db.starts.length]).toEqual([other, 1]);
      expect(sysmgr.count(/cannot write/)).toBe(1);
    },
    tracing,
  );
}

patientScenario(
  "events that cannot be read any more are watched for anew",
  async (box) => {
    const [web, bad] = [box.service("web"), box.declare("bad").install(STAY, 0o644)];
    const sysmgr = await box.start();
    const pid = await web.running();
    await bad.is("failed");
    // Nothing else is left to be read then.
    await web.is("up");
    await injected(sysmgr, "read", "error=EIO:when=1", async () => {
      web.mark();
      await sysmgr.says(/cannot watch files: /);
    });
    await sysmgr.says(/watching files again/);
    await web.is("down");
    expect(lives(pid)).toBeFalse();
    sysmgr.rebase();
    // At once, and not with the next scan: that is minutes away.
    web.unmark();
    await web.running();
    bad.install(STAY);
    await bad.running();
    box.service("late");
    await until(() => sysmgr.count(/late: started/) === 1, "a new service is started");
    expect(sysmgr.count(/watch/)).toBe(2);
  },
  tracing,
);

patientScenario(
  "what changes between a failed start and the watch for changes is not missed",
  async (box) => {
    const [old, fresh] = [box.declare("old"), box.declare("fresh")];
    makeDirectory(old.entry);
    const sysmgr = await box.start();
    await old.is("failed");
    await injected(sysmgr, "inotify_add_watch", "delay_enter=500000", async () => {
      for (const service of [old, fresh]) {
        if (service === old) write(`${old.entry}/run`, old.script());
        else makeDirectory(fresh.entry);
        // That is told before the start is tried; that it has failed, after the watch.
        await service.is("starting");
        write(`${service.entry}/run`, service.script(), 0o755);
        // At once, and not with the next scan: that is minutes away.
        await service.running();
      }
    });
  },
  tracing,
);

for (const error of ["ENOMEM", "EAGAIN"]) {
  patientScenario(
    `a spawn that fails with ${error} is tried again until it succeeds`,
    async (box) => {
      const [web, db] = [box.service("web"), box.service("db")];
      const sysmgr = await box.start();
      const [pid, other] = [await web.aged(1000), await db.running()];
      await injected(sysmgr, "clone3,clone,vfork", `error=${error}`, async () => {
        kill(pid, "SIGKILL");
        await sysmgr.says(/web: cannot start: (Cannot allocate memory|Resource temporarily)/);
        await web.is("backoff");
        const { reason } = web.status;
        expect(reason).toMatch(/Cannot allocate memory|Resource temporarily unavailable/);
        expect(web.starts.length).toBe(1);
      });
      await web.runningAfter(pid);
      expect([web.starts.length, db.pid, db.starts.length]).toEqual([2, other, 1]);
    },
    tracing,
  );
}

patientScenario(
  "while nothing can be opened for want of memory nobody is stopped or doubled",
  async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    const sysmgr = await box.start();
    const pids = [await web.running(), await db.running()];
    await injected(sysmgr, "openat", "error=ENOMEM", async () => {
      touch(db.file("control/down"));
      sysmgr.signal("SIGALRM");
      await sysmgr.says(/Cannot allocate memory/);
    });
    // What was asked for meanwhile is done once it can be.
    await db.is("down");
    expect([web.pid, web.starts.length, db.starts.length]).toEqual([pids[0] ?? 0, 1, 1]);
  },
  tracing,
);

/** Adds the size of a file to the seconds of the wall clock. */
const SHIM = `
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t) {
  struct stat s;
  const char *path = getenv("CLOCK_OFFSET");
  int code = syscall(SYS_clock_gettime, id, t);
  if (id == CLOCK_REALTIME && path && stat(path, &s) == 0) t->tv_sec += s.st_size - 1000000000;
  return code;
}
`;
const NOW = 1_000_000_000;

/** A sysmgr whose wall clock can be set, and its services'. */
async function withClock(box: Sandbox) {
  const [shim, offset] = [join(box.dir, "clock.so"), join(box.dir, "offset")];
  const compiler = Bun.spawn(["cc", "-shared", "-fPIC", "-x", "c", "-o", shim, "-"], {
    stdio: [new Blob([SHIM]), "ignore", "inherit"],
  });
  expect(await compiler.exited).toBe(0);
  touch(offset);
  truncateSync(offset, NOW);
  return {
    env: { LD_PRELOAD: shim, CLOCK_OFFSET: offset },
    jump: (seconds: number) => truncateSync(offset, NOW + seconds),
  };
}

for (const [what, seconds] of [
  ["a day ahead", 86_400],
  ["ten years back", -10 * 365 * 86_400],
] as const) {
  patientScenario(
    `a clock that jumps ${what} delays nothing and restarts nothing`,
    async (box) => {
      const clock = await withClock(box);
      const web = box.service("web");
      const flaky = box.service("flaky", "exit 1");
      const sysmgr = await box.start({ env: clock.env });
      const pid = await web.running();
      await flaky.is("backoff");
      const before = Number(web.status.since);
      clock.jump(seconds);
      const starts = flaky.starts.length;
      await until(() => flaky.starts.length > starts, "the backoff ends in its time");
      web.mark();
      await web.is("down");
      // The clock that jumped is the one that it looks at.
      expect(Math.abs(Number(web.status.since) - before - seconds)).toBeLessThan(600);
      web.unmark();
      await web.runningAfter(pid);
      sysmgr.signal("SIGALRM");
      await sysmgr.answers();
      // A successor believes what was written before the jump, too.
      clock.jump(0);
      const now = await web.running();
      await sysmgr.crash();
      await box.start({ env: clock.env });
      expect(await web.running()).toBe(now);
      expect(web.starts.length).toBe(2);
      flaky.mark();
    },
    have.root && Bun.which("cc") !== null,
  );
}
