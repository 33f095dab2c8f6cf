/** What calls of sysmgr-depends leave in RUNDIR, and that it is the truth. */
import { expect } from "bun:test";
import {
  asked,
  begin,
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
import { exists, makeDirectory, read, touch } from "../lib/files.ts";
import { children, kill, lives, readStat } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** What a service's UP line says that it waits for. */
async function shownWaiting(box: Sandbox, name: string): Promise<string | undefined> {
  const { out } = await box.run(["svctl", "status", name]);
  return out.match(/, waiting for ([^,\n]*)/)?.[1];
}

/** Does what the commands say at USR1; long since up by then. */
function hooked(commands: string): string {
  return `hook() { ${commands}; }
trap hook USR1
trace ready
while :; do sleep 3600 & wait $!; kill $!; done`;
}

patientScenario(
  "a call writes down who it is and what it waits for, and takes it back",
  async (box) => {
    const db = stopped(box, "db");
    const mail = stopped(box, "mail");
    const web = box.service("web", needing("db", "mail"));
    experienced(web);
    await box.start();
    const [pid = 0] = await waits(web);
    const start = readStat(pid)?.started;
    expect(read(web.file(`waiting/${pid}`))).toBe(`pid=${pid}\nstart=${start}\nfor=db\nfor=mail\n`);
    expect(asked(web)).toEqual(["db", "mail"]);
    expect(read(web.file("depends/db"))).toBe("");
    expect(await shownWaiting(box, "web")).toBe("db mail");
    db.unmark();
    mail.unmark();
    await web.traced("go");
    await until(() => !exists(web.file("waiting")), "nothing waits");
    expect(asked(web)).toEqual(["db", "mail"]);
    expect(await shownWaiting(box, "web")).toBeUndefined();
  },
);

patientScenario(
  "what it still waits for is what is written down, whatever comes and goes",
  async (box) => {
    const [db, mail] = [box.service("db"), stopped(box, "mail")];
    const web = stopped(box, "web", needing("db", "mail"));
    const sysmgr = await box.start();
    await db.is("up");
    web.unmark();
    const [call = 0] = await waits(web);
    await until(() => waiting(web)[0]?.wants.join() === "mail", "web waits for mail only");
    // One comes and one goes between two looks: it must not be in the midst of one.
    await sysmgr.answers();
    await until(() => readStat(call)?.state === "S", "it sleeps");
    kill(call, "SIGSTOP");
    mail.unmark();
    await mail.is("up");
    db.mark();
    await db.is("down");
    kill(call, "SIGCONT");
    await until(() => waiting(web)[0]?.wants.join() === "db", "web waits for db only");
    expect(await shownWaiting(box, "web")).toBe("db");
    await sysmgr.answers();
    db.unmark();
    await web.traced("go");
  },
);

patientScenario("what was asked for is forgotten at the next start", async (box) => {
  const [db, mail] = [box.service("db"), box.service("mail")];
  const web = box.service("web", needing("db", "mail"));
  experienced(web);
  await box.start();
  await web.traced("go");
  await web.is("up");
  web.install(needing("db"));
  await box.run(["svctl", "restart", "web"]);
  await web.traced("go", 2);
  expect(asked(web)).toEqual(["db"]);
  expect([db.status.state, mail.status.state]).toEqual(["up", "up"]);
});

patientScenario("a call that has nothing to wait for leaves what it asked for", async (box) => {
  const db = box.service("db");
  await box.start();
  await db.is("up");
  const web = box.service("web", needing("db"));
  await web.traced("go");
  await web.is("up");
  expect([asked(web), waiting(web)]).toEqual([["db"], []]);
});

patientScenario("a call for what does not exist leaves nothing", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", wanting("db", "nosuch"));
  const sysmgr = await box.start();
  await web.traced("code 1");
  expect(sysmgr.count(/^sysmgr-depends: nosuch: no such service$/)).toBe(1);
  expect([asked(web), waiting(web), db.status.state]).toEqual([[], [], "down"]);
});

patientScenario("several calls at once are each written down, and each counts", async (box) => {
  const [db, mail, dns] = ["db", "mail", "dns"].map((name) => stopped(box, name));
  if (!db || !mail || !dns) throw new Error("not three");
  const calls = ["db", "mail", "dns"].map((name) => `'${DEPENDS}' ${name} &`).join("\n");
  const web = stopped(box, "web", `${calls}\nwait\ntrace go\n${STAY}`);
  const sysmgr = await box.start();
  await begin(sysmgr, [web], () => waits(web, 3));
  expect(
    waiting(web)
      .flatMap((call) => call.wants)
      .sort(),
  ).toEqual(["db", "dns", "mail"]);
  expect((await shownWaiting(box, "web"))?.split(" ").sort()).toEqual(["db", "dns", "mail"]);
  for (const [service, left] of [
    [mail, ["db", "dns"]],
    [dns, ["db"]],
  ] as const) {
    service.unmark();
    await service.is("up");
    await waits(web, left.length);
    await sysmgr.answers();
    expect(
      waiting(web)
        .flatMap((call) => call.wants)
        .sort(),
    ).toEqual([...left]);
    expect(web.status.state).toBe("starting");
  }
  db.unmark();
  await web.traced("go");
  await web.is("up");
  expect(exists(web.file("waiting"))).toBeFalse();
  expect(asked(web)).toEqual(["db", "dns", "mail"]);
});

patientScenario(
  "forty calls, some of which have nothing to wait for, do not lose one another",
  async (box) => {
    const db = stopped(box, "db");
    const other = box.service("other");
    const sysmgr = await box.start();
    await other.is("up");
    const both = `'${DEPENDS}' other & '${DEPENDS}' db & '${DEPENDS}' other & '${DEPENDS}' other &`;
    // While the first one waits it is not up, however long the others take to begin.
    const gate = `while [ ! -e '${box.dir}/gate' ]; do sleep 0.1; done`;
    const web = stopped(
      box,
      "web",
      `'${DEPENDS}' db &\n${gate}\n${Array(10).fill(both).join("\n")}\nwait\ntrace go\n${STAY}`,
    );
    await web.is("down");
    await begin(sysmgr, [web]);
    touch(`${box.dir}/gate`);
    await waits(web, 11);
    const [call] = waiting(web);
    expect(call?.wants).toEqual(["db"]);
    expect(web.status.state).toBe("starting");
    db.unmark();
    await web.traced("go");
    await web.is("up");
    expect(exists(web.file("waiting"))).toBeFalse();
  },
);

patientScenario("a call that is killed does not hold its service back", async (box) => {
  const db = stopped(box, "db");
  const web = box.service("web", wanting("db"));
  experienced(web);
  await box.start();
  const [pid = 0] = await waits(web);
  kill(pid, "SIGKILL");
  await web.traced("code 137");
  await web.is("up");
  expect(await shownWaiting(box, "web")).toBeUndefined();
  // Whoever waits for web is served, too.
  expect((await box.run(["sysmgr-depends", "web"])).code).toBe(0);
  expect(db.status.state).toBe("down");
});

patientScenario("of two calls one is killed: the other one still counts", async (box) => {
  const [db, mail] = [stopped(box, "db"), stopped(box, "mail")];
  const web = stopped(box, "web", `'${DEPENDS}' db & '${DEPENDS}' mail\nwait\n${STAY}`);
  const sysmgr = await box.start();
  await begin(sysmgr, [web], () => waits(web, 2));
  const ofDb = waiting(web).find((call) => call.wants.includes("db"))?.pid ?? 0;
  kill(ofDb, "SIGKILL");
  await until(() => !lives(ofDb), "it is dead");
  await sysmgr.answers();
  expect(await shownWaiting(box, "web")).toBe("mail");
  expect(web.status.state).toBe("starting");
  mail.unmark();
  await web.is("up");
  expect(db.status.state).toBe("down");
});

patientScenario("what a killed call has left is no cycle", async (box) => {
  const b = box.service("b", wanting("a"));
  const a = box.service("a", wanting("b"));
  makeDirectory(a.file("."));
  a.mark();
  experienced(b);
  const sysmgr = await box.start();
  const [pid = 0] = await waits(b);
  kill(pid, "SIGKILL");
  await b.is("up");
  a.unmark();
  await a.traced("code 0");
  expect(sysmgr.count(/cycle/)).toBe(0);
});

patientScenario(
  "a call from a hook of a long-running service is seen, and changes no state",
  async (box) => {
    const db = stopped(box, "db");
    const web = box.service("web", hooked(`'${DEPENDS}' db; trace "code $?"`));
    await box.start();
    await web.traced("ready");
    const pid = await web.running();
    await web.is("up");
    await box.run(["svctl", "usr1", "web"]);
    await waits(web);
    expect(web.status).toMatchObject({ state: "up", pid: String(pid) });
    expect(await shownWaiting(box, "web")).toBe("db");
    expect(asked(web)).toEqual(["db"]);
    // It is up: nobody has to wait for it.
    expect((await box.run(["sysmgr-depends", "web"])).code).toBe(0);
    db.unmark();
    await web.traced("code 0");
    expect(waiting(web)).toEqual([]);
  },
);

patientScenario(
  "a call from a child in a process group of its own is in the service",
  async (box) => {
    const db = stopped(box, "db");
    // timeout(1) leads a group of its own.
    const web = box.service("web", `timeout 3600 '${DEPENDS}' db || exit\ntrace go\n${STAY}`);
    experienced(web);
    await box.start();
    await waits(web);
    expect(asked(web)).toEqual(["db"]);
    db.unmark();
    await web.traced("go");
  },
);

patientScenario("a call that has left the session waits, but writes nothing", async (box) => {
  const db = stopped(box, "db");
  const web = box.service(
    "web",
    `setsid '${DEPENDS}' db &\ntrace ready\nwait $!; trace "code $?"\n${STAY}`,
  );
  await box.start();
  await web.traced("ready");
  const pid = await web.running();
  await web.is("up");
  // Its parent is the script: it is there, and it does wait.
  await until(() => children(pid).some((p) => p.session === p.pid), "it has left");
  expect([waiting(web), asked(web), web.count("code 0")]).toEqual([[], [], 0]);
  expect(await shownWaiting(box, "web")).toBeUndefined();
  db.unmark();
  await web.traced("code 0");
  expect([waiting(web), asked(web)]).toEqual([[], []]);
});

patientScenario("a call on behalf of another service writes nothing", async (box) => {
  const db = stopped(box, "db");
  const other = box.service("other");
  const web = stopped(box, "web", `SYSMGR_SERVICE=other '${DEPENDS}' db; trace "code $?"\n${STAY}`);
  const sysmgr = await box.start();
  await other.is("up");
  await begin(sysmgr, [web], () => called(web));
  await notUp(box, "web");
  expect([web, other].flatMap((s) => [...waiting(s), ...asked(s)])).toEqual([]);
  db.unmark();
  await web.traced("code 0");
});

patientScenario(
  "a call as another user waits, though it can write nothing",
  async (box) => {
    const db = stopped(box, "db");
    const drop = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    const web = stopped(box, "web", `${drop} '${DEPENDS}' db; trace "code $?"\n${STAY}`);
    const sysmgr = await box.start();
    await begin(sysmgr, [web], () => called(web));
    await notUp(box, "web");
    expect(waiting(web)).toEqual([]);
    expect(web.lines.length).toBe(1);
    db.unmark();
    await web.traced("code 0");
    await web.is("up");
    expect(sysmgr.count(/sysmgr-depends/)).toBe(0);
  },
  have.setpriv,
);

patientScenario("a name made to look like something else stays a name", async (box) => {
  const name = "x\nfor=y\npid=1";
  const odd = stopped(box, name);
  const web = box.service("web", needing(`'${name}'`));
  experienced(web);
  await box.start();
  await waits(web);
  expect(waiting(web).map((call) => call.wants)).toEqual([["x\\x0afor=y\\x0apid=1"]]);
  expect(await shownWaiting(box, "web")).toBe("x\\x0afor=y\\x0apid=1");
  odd.unmark();
  await web.traced("go");
});

patientScenario("a call with very many names forgets none", async (box) => {
  const names = Array.from({ length: 60 }, (_, i) => `${"\x01".repeat(40)}${100 + i}`);
  for (const name of names) stopped(box, name);
  const list = names.map((name) => `'${name}'`).join(" ");
  const [a, b] = [box.service("a", needing(list, "b")), box.service("b", needing(list, "a"))];
  experienced(a, b);
  const sysmgr = await box.start();
  await sysmgr.says(/^sysmgr-depends: cycle: (a -> b -> a|b -> a -> b)$/m);
  // Both may have seen the cycle, and try again after a second, until one of them waits on.
  for (let words: string[] = []; words.length !== 61; ) {
    const one = () => [a, b].find((s) => waiting(s).length === 1);
    const waiter = await until(one, "one of them waits on");
    words = (await shownWaiting(box, waiter.name))?.split(" ") ?? [];
    if (words.length === 61) expect(words.at(-1)).toBe(waiter === a ? "b" : "a");
  }
  await box.run(["svctl", "kill", "a", "b"]);
});

patientScenario("what others have put into waiting/ is not believed", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  makeDirectory(web.file("waiting"));
  const start = readStat(process.pid)?.started ?? 0;
  const lies = {
    1: "pid=1\nstart=0\nfor=a\n",
    2: `pid=${process.pid}\nstart=${start + 1}\nfor=a\n`,
    3: "pid=-1\nstart=0\nfor=a\n",
    4: "\0\xff".repeat(5000),
    5: "",
    6: `pid=${process.pid}\nstart=${start}\nfor=a\n`,
  };
  for (const [file, text] of Object.entries(lies)) {
    await Bun.write(web.file(`waiting/${file}`), Buffer.from(text, "latin1"));
  }
  await web.is("up");
  expect(await shownWaiting(box, "web")).toBeUndefined();
  expect((await box.run(["sysmgr-depends", "web"])).code).toBe(0);
  await box.run(["svctl", "restart", "web"]);
  await web.runningAfter(pid);
  expect(exists(web.file("waiting"))).toBeFalse();
});

patientScenario("a shutdown stops who has asked before whom it asked for", async (box) => {
  const note = (name: string) => `trap 'echo ${name} >>${box.dir}/order; exit' TERM`;
  const stay = "while :; do sleep 3600 & wait $!; done";
  const c = box.service("c", `${note("c")}\ntrace ready\n${stay}`);
  const b = box.service("b", `'${DEPENDS}' c || exit\n${note("b")}\ntrace go\n${stay}`);
  const a = box.service("a", `'${DEPENDS}' b || exit\n${note("a")}\ntrace go\n${stay}`);
  experienced(a, b);
  const sysmgr = await box.start();
  await b.traced("go");
  await a.traced("go");
  await c.traced("ready");
  await c.is("up");
  await sysmgr.stop();
  expect(read(`${box.dir}/order`)).toBe("a\nb\nc\n");
});

patientScenario("a shutdown ends calls that still wait, and leaves no process", async (box) => {
  stopped(box, "db");
  const web = box.service("web", needing("db"));
  const up = box.service("up", hooked(`'${DEPENDS}' db`));
  experienced(web);
  const sysmgr = await box.start();
  const [first = 0] = await waits(web);
  await up.is("up");
  await up.traced("ready");
  await box.run(["svctl", "usr1", "up"]);
  const [second = 0] = await waits(up);
  await sysmgr.stop();
  expect([first, second].filter(lives)).toEqual([]);
});
