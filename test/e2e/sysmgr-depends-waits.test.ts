/** sysmgr-depends waits until services are up, and no longer. */
import { expect } from "bun:test";
import { AS_NOBODY, BLIND, shell } from "../lib/clients.ts";
import {
  asked,
  begin,
  beginFirst,
  called,
  DEPENDS,
  experienced,
  needing,
  notUp,
  stopped,
  waiting,
  waits,
  wanting,
} from "../lib/depends.ts";
import { exists, place, remove, rename, touch } from "../lib/files.ts";
import { descriptors, kill, lives } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { type Service, STAY } from "../lib/service.ts";
import { holds, until } from "../lib/until.ts";

patientScenario("a service waits, starting, until the other one is up", async (box) => {
  const db = stopped(box, "db");
  const web = stopped(box, "web", checking(box.rundir, "db"));
  const sysmgr = await box.start();
  await begin(sysmgr, [web]);
  await sysmgr.answers();
  expect(web.status.state).toBe("starting");
  db.unmark();
  await web.traced("db up");
  await web.is("up");
  expect(web.starts.length).toBe(1);
});

patientScenario("it does not wait for what is up", async (box) => {
  const db = box.service("db");
  await box.start();
  await db.is("up");
  const { code, out, err } = await box.run(["sysmgr-depends", "db"]);
  expect({ code, out, err }).toEqual({ code: 0, out: "", err: "" });
});

patientScenario("it waits for up, not only for running", async (box) => {
  const [mail, db] = [stopped(box, "mail"), stopped(box, "db", needing("mail"))];
  const sysmgr = await box.start();
  await begin(sysmgr, [db]);
  await db.running();
  const call = box.run(["sysmgr-depends", "db"]);
  await notUp(box, "db");
  mail.unmark();
  expect((await call).code).toBe(0);
  expect(db.status.state).toBe("up");
});

/** Waits for these, then traces the state of each: its own progress is of no interest. */
function checking(rundir: string, ...names: string[]): string {
  const states = names.map((n) => `trace ${n} $(sed -n 's/^state=//p' '${rundir}/${n}/status')`);
  return `'${DEPENDS}' ${names.join(" ")} || exit\n${states.join("\n")}\n${STAY}`;
}

/** Services by the moment at which they came up. */
function byAge(...services: Service[]): string[] {
  const since = (s: Service) => Number(s.status.since);
  return services.toSorted((a, b) => since(a) - since(b)).map((s) => s.name);
}

patientScenario("a chain of three comes up from its end, one after the other", async (box) => {
  const c = stopped(box, "c");
  const b = stopped(box, "b", checking(box.rundir, "c"));
  const a = stopped(box, "a", checking(box.rundir, "b"));
  const sysmgr = await box.start();
  await begin(sysmgr, [a, b]);
  const states = () => [a, b, c].map((s) => s.status.state);
  expect(states()).toEqual(["starting", "starting", "down"]);
  c.unmark();
  await until(() => states().every((state) => state === "up"), "all are up");
  expect(byAge(a, b, c)).toEqual(["c", "b", "a"]);
  // A service is up soon after its call has returned, which its script need not have traced yet.
  await a.traced("b up");
  await b.traced("c up");
  expect(a.lines.slice(1)).toEqual(["b up"]);
  expect(b.lines.slice(1)).toEqual(["c up"]);
  expect([a, b, c].map((s) => s.starts.length)).toEqual([1, 1, 1]);
});

patientScenario(
  "in its first life a service is not up before its call returns, either",
  async (box) => {
    const db = stopped(box, "db");
    const web = stopped(box, "web", needing("db"));
    const sysmgr = await box.start();
    await beginFirst(sysmgr, web);
    await waits(web);
    sysmgr.signal("SIGCONT");
    await notUp(box, "web");
    db.unmark();
    await web.is("up");
    await web.traced("go");
    expect(web.count("go")).toBe(1);
  },
);

patientScenario(
  "a call that is slow to begin delays its service, and so does the next",
  async (box) => {
    const call = `${box.dir}/sysmgr-depends`;
    place(call, `#!/bin/sh\ntrap 'kill $!' TERM\nsleep 3600 & wait $!\n`, 0o755);
    const web = stopped(box, "web", `'${call}'\n'${call}'\ntrace go\n${STAY}`);
    const sysmgr = await box.start();
    await beginFirst(sysmgr, web);
    const first = await called(web);
    sysmgr.signal("SIGCONT");
    await notUp(box, "web");
    // What it allows between two calls is not the script's to keep on a busy machine.
    await sysmgr.pause();
    kill(first, "SIGTERM");
    const second = await called(web, first);
    sysmgr.signal("SIGCONT");
    await notUp(box, "web");
    kill(second, "SIGTERM");
    await web.traced("go");
    await web.is("up");
  },
);

patientScenario("a chain of ten that starts all together comes up in order", async (box) => {
  const names = Array.from({ length: 10 }, (_, i) => `s${i}`);
  const last = stopped(box, "s9");
  const services = names
    .slice(0, 9)
    .map((name, i) => stopped(box, name, checking(box.rundir, `s${i + 1}`)));
  const sysmgr = await box.start();
  await begin(sysmgr, services);
  last.unmark();
  await until(() => services.every((s) => s.status.state === "up"), "all are up");
  expect(byAge(...services, last)).toEqual(names.reverse());
  for (const [i, s] of services.entries()) await s.traced(`s${i + 1} up`);
  expect(services.map((s) => s.lines.slice(1))).toEqual(services.map((_, i) => [`s${i + 1} up`]));
});

patientScenario("a diamond comes up: its tip first, its foot last", async (box) => {
  const tip = stopped(box, "tip");
  const left = stopped(box, "left", checking(box.rundir, "tip"));
  const right = stopped(box, "right", checking(box.rundir, "tip"));
  const foot = stopped(box, "foot", checking(box.rundir, "left", "right"));
  const sysmgr = await box.start();
  await begin(sysmgr, [left, right, foot]);
  tip.unmark();
  await foot.is("up");
  const order = byAge(left, foot, tip, right);
  expect([order.at(0), order.at(-1)]).toEqual(["tip", "foot"]);
  await foot.traced("right up");
  expect(foot.lines.slice(1)).toEqual(["left up", "right up"]);
  expect(sysmgr.count(/cycle/)).toBe(0);
});

patientScenario("several services are waited for until the last one is up", async (box) => {
  const services = ["a", "b", "c"].map((name) => stopped(box, name));
  const web = box.service("web", needing("a", "b", "c"));
  experienced(web);
  const sysmgr = await box.start();
  await waits(web);
  for (const s of services.slice(0, 2)) {
    s.unmark();
    await s.is("up");
  }
  await sysmgr.answers();
  expect(web.count("go")).toBe(0);
  await waits(web);
  services[2]?.unmark();
  await web.traced("go");
});

patientScenario("whoever needs what fails waits until it does no more", async (box) => {
  // It says when it is up, or its end would have to come before that.
  const good = `[ -e '${box.dir}/good' ] || exit 1\necho >&7\n${STAY}`;
  const db = box.declare("db").installDirectory(good, {}, { "notification-fd": "7" });
  const web = box.service("web", needing("db"));
  await box.start();
  await waits(web);
  await until(() => Number(db.status.short) >= 2, "two short lives of db");
  expect(web.count("go")).toBe(0);
  await Bun.write(`${box.dir}/good`, "");
  await web.traced("go");
});

patientScenario("what cannot start is waited for until it can", async (box) => {
  const db = box.declare("db").install("", 0o644);
  const web = box.service("web", needing("db"));
  experienced(web);
  await box.start();
  await waits(web);
  await db.is("failed");
  db.install();
  await web.traced("go");
});

patientScenario("a stop of who waits ends the waiting, too; nothing stays behind", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  await box.start();
  const [call = 0] = await waits(web);
  await box.run(["svctl", "stop", "web"]);
  await until(() => !exists(`/proc/${call}`), "the call has ended");
  expect([web.status.state, waiting(web), web.count("go")]).toEqual(["down", [], 0]);
  db.unmark();
  await db.is("up");
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
  await web.traced("go");
});

for (const [what, end] of [
  ["a restart", (box: Sandbox) => box.run(["svctl", "restart", "web"])],
  ["kill -9", async (_: Sandbox, pid: number) => kill(pid, "SIGKILL")],
] as const) {
  patientScenario(`after ${what} of its service the old call has gone`, async (box) => {
    const db = stopped(box, "db");
    const web = box.service("web", needing("db"));
    experienced(web);
    await box.start();
    const pid = await web.running();
    const [call = 0] = await waits(web);
    await end(box, pid);
    await until(() => !exists(`/proc/${call}`), "the call has ended");
    await web.runningAfter(pid);
    await waits(web);
    db.unmark();
    await web.traced("go");
    await web.is("up");
    await web.traced("go");
    expect(web.count("go")).toBe(1);
  });
}

patientScenario("when a service is removed, its call does not stay behind", async (box) => {
  stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  await box.start();
  const [call = 0] = await waits(web);
  web.uninstall();
  await box.gone(web);
  await until(() => !exists(`/proc/${call}`), "the call has ended");
});

patientScenario("it waits by inotify", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  await box.start();
  const [call = 0] = await waits(web);
  expect([...descriptors(call).values()]).toContain("anon_inode:inotify");
  db.unmark();
  await web.traced("go");
});

patientScenario(
  "without an inotify instance it waits, too",
  async (box) => {
    const db = stopped(box, "db");
    await box.start();
    const call = box.run(["sysmgr-depends", "db"], { wrapper: BLIND });
    const late = await box.run(["sysmgr-depends", "-t", "1", "db"], { wrapper: BLIND });
    expect(late).toMatchObject({ code: 1, out: "" });
    db.unmark();
    expect(await call).toEqual({ code: 0, out: "", err: "" });
    expect(db.status.state).toBe("up");
  },
  have.userns,
);

patientScenario("outside of any service it just waits, and writes nothing", async (box) => {
  const [db, web] = [stopped(box, "db"), box.service("web")];
  await box.start();
  await web.is("up");
  const calls = [
    box.run(["sysmgr-depends", "db"]),
    // Not true: nobody is to be fooled.
    box.run(["sysmgr-depends", "db"], { env: { SYSMGR_SERVICE: "web" } }),
    box.run(["sysmgr-depends", "db"], { env: { SYSMGR_SERVICE: "../web" } }),
    box.run(["sysmgr-depends", "db"], { env: { SYSMGR_SERVICE: "" } }),
  ];
  await box.run(["sysmgr-depends", "-t", "1", "db"], { env: { SYSMGR_SERVICE: "web" } });
  const files = [web, db].flatMap((s) => [...waiting(s), ...asked(s)]);
  expect(files).toEqual([]);
  db.unmark();
  const done = { code: 0, out: "", err: "" };
  expect(await Promise.all(calls)).toEqual([done, done, done, done]);
  expect([web, db].flatMap((s) => [...waiting(s), ...asked(s)])).toEqual([]);
});

patientScenario(
  "any user may wait",
  async (box) => {
    const db = stopped(box, "db");
    await box.start();
    const call = box.run(["sysmgr-depends", "db"], { wrapper: AS_NOBODY });
    db.unmark();
    expect(await call).toEqual({ code: 0, out: "", err: "" });
  },
  have.setpriv,
);

patientScenario("from outside it waits for what sysmgr has not seen yet", async (box) => {
  const sysmgr = await box.start();
  sysmgr.signal("SIGSTOP");
  const db = box.service("db");
  const { out } = await box.run(["svctl", "status", "db"]);
  expect(out).toBe("db: DOWN, not seen yet\n");
  const call = box.run(["sysmgr-depends", "db"]);
  sysmgr.signal("SIGCONT");
  expect(await call).toEqual({ code: 0, out: "", err: "" });
  expect(db.status.state).toBe("up");
});

patientScenario("what sysmgr does not see is no service to wait for", async (box) => {
  const sysmgr = await box.start();
  sysmgr.signal("SIGSTOP");
  box.service("db");
  const outcome = await box.run(["sysmgr-depends", "db"]);
  expect(outcome).toEqual({ code: 1, out: "", err: "sysmgr-depends: db: no such service\n" });
  sysmgr.signal("SIGCONT");
});

patientScenario("it goes on waiting for what is removed, until it is back", async (box) => {
  const db = box.service("db", "exit 1");
  await box.start();
  await db.is("backoff");
  const call = box.run(["sysmgr-depends", "db"]);
  // Begun after the call: when it gives up, the other one surely waits.
  await box.run(["sysmgr-depends", "-t", "1", "db"]);
  db.uninstall();
  await box.gone(db);
  await until(() => !exists(db.file(".")), "its directory is gone");
  db.install();
  await db.is("up");
  expect(await call).toEqual({ code: 0, out: "", err: "" });
});

patientScenario("it goes on waiting while RUNDIR is removed and made again", async (box) => {
  const db = stopped(box, "db");
  await box.start();
  await db.is("down");
  const call = box.run(["sysmgr-depends", "db"]);
  await box.run(["sysmgr-depends", "-t", "1", "db"]);
  rename(box.rundir, `${box.dir}/old`);
  remove(`${box.dir}/old`);
  await db.is("down");
  db.unmark();
  await db.is("up");
  expect(await call).toEqual({ code: 0, out: "", err: "" });
});

patientScenario(
  "a service that waits is kept, and waits on, when RUNDIR is removed",
  async (box) => {
    const db = stopped(box, "db");
    const web = box.service("web", needing("db"));
    experienced(web);
    await box.start();
    await waits(web);
    // However long it has waited, it looks twice before it gives up.
    const pid = await web.aged(2_500);
    rename(box.rundir, `${box.dir}/old`);
    remove(`${box.dir}/old`);
    await db.is("down");
    db.unmark();
    await web.traced("go");
    await web.is("up");
    expect(web.pid).toBe(pid);
  },
);

/** Has those look who wait for this service, or in it; true while that process lives. */
function stirred(service: Service, pid: number): boolean {
  touch(service.file("stir"));
  remove(service.file("stir"));
  return lives(pid);
}

patientScenario("a service that waits is kept while its status cannot be written", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  const sysmgr = await box.start();
  const pid = await web.running();
  const [call = 0] = await waits(web);
  await sysmgr.pause();
  remove(web.file("status"));
  await holds(() => stirred(web, call), "the call waits", 3);
  sysmgr.signal("SIGCONT");
  db.unmark();
  await web.traced("go");
  expect([web.pid, web.starts.length]).toEqual([pid, 1]);
});

patientScenario("without a status the end of its service ends a call, too", async (box) => {
  stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  const sysmgr = await box.start();
  const pid = await web.running();
  const [call = 0] = await waits(web);
  await sysmgr.pause();
  remove(web.file("status"));
  kill(pid, "SIGKILL");
  await until(() => !stirred(web, call), "the call has ended");
  sysmgr.signal("SIGCONT");
  await web.runningAfter(pid);
});

patientScenario("a service that was started without a status is not up early", async (box) => {
  const db = stopped(box, "db");
  const web = stopped(box, "web");
  const gate = `${box.dir}/gate`;
  web.install(`while [ ! -e '${gate}' ]; do sleep 0.1; done\n${needing("db")}`);
  const sysmgr = await box.start();
  await beginFirst(sysmgr, web);
  remove(web.file("status"));
  // Outside of any service that says nothing.
  await box.run(["sysmgr-depends", "-t", "1", "db"], { env: { SYSMGR_SERVICE: "web" } });
  expect([waiting(web), asked(web)]).toEqual([[], []]);
  touch(gate);
  await waits(web);
  expect(asked(web)).toEqual(["db"]);
  sysmgr.signal("SIGCONT");
  await web.is("starting");
  await notUp(box, "web");
  db.unmark();
  await web.traced("go");
  await web.is("up");
});

patientScenario("it goes on waiting while sysmgr ends, and another one begins", async (box) => {
  const db = stopped(box, "db");
  const sysmgr = await box.start();
  await db.is("down");
  const call = box.run(["sysmgr-depends", "db"]);
  await box.run(["sysmgr-depends", "-t", "1", "db"]);
  await sysmgr.stop();
  await box.start();
  await db.is("up");
  expect(await call).toEqual({ code: 0, out: "", err: "" });
});

patientScenario("a chain survives kill -9 of sysmgr", async (box) => {
  const db = stopped(box, "db");
  const web = stopped(box, "web", needing("db"));
  const top = stopped(box, "top", needing("web"));
  const sysmgr = await box.start();
  await begin(sysmgr, [web, top]);
  await sysmgr.crash();
  await box.start();
  expect([web.status.state, top.status.state]).toEqual(["starting", "starting"]);
  db.unmark();
  await top.is("up");
  for (const service of [web, top]) await service.traced("go");
  expect([web.starts.length, top.starts.length]).toEqual([1, 1]);
  expect([web.count("go"), top.count("go")]).toEqual([1, 1]);
});

patientScenario("-f waits until a service has run and exited with 0", async (box) => {
  const once = `trap 'trace done; exit 0' USR1\ntrace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;
  const job = box.service("job", once);
  const web = box.service("web", needing("-f", "job"));
  experienced(web);
  const sysmgr = await box.start();
  await job.traced("ready");
  job.mark("once");
  await job.is("up");
  await waits(web);
  await sysmgr.answers();
  expect(web.count("go")).toBe(0);
  await box.run(["svctl", "usr1", "job"]);
  await web.traced("go");
  expect(job.lines.at(-1)).toBe("done");
  await web.is("up");
});

patientScenario("-f is content with what has run before", async (box) => {
  const job = box.declare("job").installDirectory("exit 0", {}, { restart: "never" });
  await box.start();
  await job.is("down");
  await box.run(["svctl", "stop", "job"]);
  expect(await box.run(["sysmgr-depends", "-f", "job"])).toEqual({ code: 0, out: "", err: "" });
});

for (const [what, body] of [
  ["fails", "exit 1"],
  ["is killed", "kill -9 $$"],
] as const) {
  patientScenario(`-f waits on when a service ${what}, until it succeeds`, async (box) => {
    const job = box.service("job", `[ -e '${box.dir}/good' ] || ${body}\nexit 0`);
    const web = box.service("web", needing("-f", "job"));
    experienced(web);
    await box.start();
    await waits(web);
    await until(() => Number(job.status.short) >= 2, "two short lives of job");
    const late = await box.run(["sysmgr-depends", "-f", "-t", "1", "job"]);
    expect(late).toMatchObject({ code: 1, out: "" });
    expect(late.err).toMatch(/^sysmgr-depends: job: not [^\n]* after 1 s [^\n]*\n$/);
    expect(web.count("go")).toBe(0);
    await Bun.write(`${box.dir}/good`, "");
    await web.traced("go");
  });
}

patientScenario("-f does not take what never ran for done", async (box) => {
  const job = stopped(box, "job", "exit 0");
  await box.start();
  await job.is("down");
  expect((await box.run(["sysmgr-depends", "-f", "-t", "1", "job"])).code).toBe(1);
});

patientScenario("-f is not content with a service that runs", async (box) => {
  const job = box.service("job");
  await box.start();
  await job.is("up");
  expect((await box.run(["sysmgr-depends", "-f", "-t", "1", "job"])).code).toBe(1);
  expect((await box.run(["sysmgr-depends", "-t", "1", "job"])).code).toBe(0);
});

patientScenario("-f sees every success of a service that is started again at once", async (box) => {
  const job = box.service("job", `trap 'exit 0' USR1\ntrace ready\nsleep 3600 & wait $!`);
  await box.start();
  await job.aged(1000);
  await job.traced("ready");
  const calls = Array.from({ length: 5 }, () => box.run(["sysmgr-depends", "-f", "job"]));
  // They all wait when one that began after them has given up.
  await box.run(["sysmgr-depends", "-f", "-t", "1", "job"]);
  await box.run(["svctl", "usr1", "job"]);
  const done = { code: 0, out: "", err: "" };
  expect(await Promise.all(calls)).toEqual(calls.map(() => done));
});

patientScenario("a call that gives up lets its service go on as it likes", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", wanting("-t", "1", "db"));
  experienced(web);
  const sysmgr = await box.start();
  await web.traced("code 1");
  expect(sysmgr.count(/^sysmgr-depends: db: not up after 1 s \(down\)$/)).toBe(1);
  await web.is("up");
  expect([waiting(web), asked(web)]).toEqual([[], ["db"]]);
  expect(db.status.state).toBe("down");
});

for (const [what, name] of [
  ["a newline", "a\nfor=b"],
  ["blanks and shell words", " $(id) ; * "],
  ["bytes that are no UTF-8", "w\xff\xc3b"],
  ["255 bytes", "\x01".repeat(255)],
  ["a leading dash", "-f"],
] as const) {
  patientScenario(`a name of ${what} can be waited for, and can wait`, async (box) => {
    const db = stopped(box, name);
    const odd = box.service(`${name.slice(0, 253)}2`, needing("--", `'${name}'`));
    experienced(odd);
    await box.start();
    await waits(odd);
    const script = `exec '${DEPENDS}' -d ${box.sysdir} -r ${box.rundir} -- '${name}'`;
    const call = shell(box, script);
    db.unmark();
    await odd.traced("go");
    await odd.is("up");
    expect(asked(odd)).toEqual([name]);
    expect(await call).toEqual({ code: 0, out: "", err: "" });
  });
}

patientScenario("a script that is replaced while it waits takes nothing away", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", needing("db"));
  experienced(web);
  await box.start();
  await waits(web);
  place(web.entry, web.script("trace other"), 0o755);
  db.unmark();
  await web.traced("go");
});
