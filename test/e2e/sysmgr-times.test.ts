/** The keys of the status that tell when what happened: first, ready, waited. */
import { expect } from "bun:test";
import { begin, DEPENDS, needing, stopped, waits } from "../lib/depends.ts";
import { write } from "../lib/files.ts";
import { kill } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { type Service, STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const KEYS = ["first", "ready", "waited"] as const;

/** In milliseconds; NaN where there is none. */
function times(service: Service) {
  const [first = Number.NaN, ready = Number.NaN, waited = Number.NaN] = KEYS.map((key) =>
    Math.round(Number(service.status[key]) * 1000),
  );
  return { first, ready, waited };
}

/** As text, with `since`, for what must not change at all. */
const kept = ({ status }: Service) => [...KEYS, "since"].map((key) => status[key]);

patientScenario("a restart begins another life, and the first one stays the first", async (box) => {
  const web = box.service("web");
  const before = Date.now();
  await box.start();
  await web.is("up");
  const one = times(web);
  expect(one.first).toBeGreaterThanOrEqual(before);
  expect(one.ready).toBeGreaterThan(one.first);
  expect(one.waited).toBeNaN();
  await web.command("restart");
  await until(() => times(web).ready > one.ready, "it is up again");
  expect([times(web).first, web.status.runs]).toEqual([one.first, "2"]);
  web.mark();
  await web.is("down");
  expect(times(web).first).toBe(one.first);
  expect(times(web).ready).toBeGreaterThan(one.ready);
});

patientScenario("one that never came to be up was never ready", async (box) => {
  // It is to say when: else a life that ends slowly counts as up.
  const web = box.declare("web");
  web.installDirectory("exit 1", {}, { "notification-fd": "7\n" });
  await box.start();
  await web.is("backoff");
  expect(times(web).first).toBeGreaterThan(0);
  expect(web.status).not.toContainKey("ready");
});

/** `web` waits for `db`, which is stopped; `before`: when it cannot have waited yet. */
async function waitingService(box: Sandbox) {
  const before = Date.now();
  const [db, web] = [box.service("db"), stopped(box, "web", needing("db"))];
  const sysmgr = await box.start();
  await db.running();
  db.mark();
  await db.is("down");
  await begin(sysmgr, [web]);
  return { web, db, before };
}

patientScenario("how long it has waited for others is told once it has", async (box) => {
  const { web, db, before } = await waitingService(box);
  const seen = performance.now();
  await until(() => performance.now() > seen + 400, "it has waited for a while");
  const waited = performance.now() - seen;
  db.unmark();
  await web.is("up");
  const { ready, ...told } = times(web);
  // Start times of processes are counted in hundredths of a second.
  expect(told.waited).toBeGreaterThan(waited - 10);
  expect(told.waited).toBeLessThanOrEqual(ready - before + 20);
  await box.run(["svctl", "restart", "web"]);
  await web.is("up");
  await until(() => !(times(web).waited >= told.waited), "of the new life only");
});

patientScenario("two calls at the same time are not counted twice", async (box) => {
  const twice = `'${DEPENDS}' db & '${DEPENDS}' db; wait $!; ${STAY}`;
  const [db, web] = [box.service("db"), stopped(box, "web", twice)];
  const sysmgr = await box.start();
  await db.running();
  db.mark();
  await db.is("down");
  const before = Date.now();
  await begin(sysmgr, [web], () => waits(web, 2));
  const seen = performance.now();
  await until(() => performance.now() > seen + 400, "they have waited for a while");
  db.unmark();
  await web.is("up");
  const { ready, waited } = times(web);
  expect(waited).toBeLessThanOrEqual(ready - before + 20);
});

patientScenario("who waits on when it is up counts no more", async (box) => {
  const web = box.declare("web");
  const script = `'${DEPENDS}' db &\nwhile [ ! -e gate ]; do sleep 0.1; done\necho >&7\n${STAY}`;
  web.installDirectory(script, {}, { "notification-fd": "7" });
  box.declare("db").installDirectory(STAY, {}, { down: "" });
  const before = Date.now();
  const sysmgr = await box.start();
  await waits(web);
  // It looks at who waits before it is told that web is up.
  await sysmgr.answers();
  write(`${web.entry}/gate`, "");
  await web.is("up");
  const { ready, waited } = times(web);
  expect(waited).toBeLessThanOrEqual(ready - before + 20);
  await web.aged(300);
  web.mark();
  await web.is("down");
  expect(times(web).waited).toBe(waited);
});

patientScenario("a successor goes on with all of it, after a crash and an upgrade", async (box) => {
  const web = box.service("web");
  const job = box.declare("job").installDirectory("exit 0", {}, { restart: "never" });
  const sysmgr = await box.start();
  await web.is("up");
  await job.is("down");
  const before = [kept(web), kept(job)];
  expect(before[0]?.[1]).toBeDefined();
  const upgraded = await box.run(["svctl", "upgrade"]);
  expect(upgraded.code).toBe(0);
  expect([kept(web), kept(job)]).toEqual(before);
  await sysmgr.crash();
  await box.start();
  expect([kept(web), kept(job)]).toEqual(before);
  kill(await web.running(), "SIGKILL");
  await until(() => web.status.runs === "2", "it was restarted");
  expect(web.status.first).toBe(before[0]?.[0] ?? "");
});

patientScenario("one that waits while sysmgr is replaced has waited all the time", async (box) => {
  const { web, db } = await waitingService(box);
  const seen = performance.now();
  await until(() => performance.now() > seen + 400, "it has waited for a while");
  const waited = performance.now() - seen;
  expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
  db.unmark();
  await web.is("up");
  expect(times(web).waited).toBeGreaterThan(waited - 10);
});

patientScenario("who waits is seen at once, also where its own word is waited for", async (box) => {
  const db = box.declare("db").installDirectory(STAY, {}, { down: "" });
  const names = Array.from({ length: 12 }, (_, i) => `web${i}`);
  const webs = names.map((name) =>
    box
      .declare(name)
      .installDirectory(`${DEPENDS} db || exit\necho >&7\n${STAY}`, {}, { "notification-fd": "7" }),
  );
  await box.start();
  for (const web of webs) await waits(web);
  db.unmark();
  for (const web of webs) {
    await web.is("up");
    expect(times(web).waited).toBeGreaterThan(0);
  }
});
