/** Services that wait for one another: at least one says so, and nothing hangs. */
import { expect } from "bun:test";
import { begin, DEPENDS, needing, stopped, waits, wanting } from "../lib/depends.ts";
import { place } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import { patientScenario } from "../lib/scenario.ts";
import { type Service, STAY } from "../lib/service.ts";
import type { Supervisor } from "../lib/supervisor.ts";
import { until } from "../lib/until.ts";

/** What was said of cycles, each once. */
function reports(sysmgr: Supervisor): string[] {
  const lines = sysmgr.messages.split("\n").filter((line) => line.includes("cycle"));
  return [...new Set(lines)];
}

/** Every way to say it, of which a call in a member may choose that which begins with it. */
function rotations(...names: string[]): string[] {
  return names.map((first, i) => {
    const rest = [...names.slice(i + 1), ...names.slice(0, i)];
    return `sysmgr-depends: cycle: ${[first, ...rest, first].join(" -> ")}`;
  });
}

/** It goes on after a failure; or it has ended, which it does not do at once when it says so. */
function hasFailed(s: Service): boolean {
  return s.count("code 1") > 0 || (s.count("failed 1") > 0 && !lives(s.pid ?? 0));
}

/** Starts services that are stopped, of which one says so in one of these ways, and fails. */
async function reported(
  sysmgr: Supervisor,
  services: readonly Service[],
  allowed: string[],
): Promise<void> {
  await begin(sysmgr, services, () => until(() => services.some(hasFailed), "one has failed"));
  expect(reports(sysmgr).length).toBeGreaterThan(0);
  expect(reports(sysmgr).filter((line) => !allowed.includes(line))).toEqual([]);
}

for (const names of [
  ["a", "b"],
  ["a", "b", "c"],
  ["a", "b", "c", "d", "e", "f"],
]) {
  patientScenario(`a cycle of ${names.length} is reported; who goes on comes up`, async (box) => {
    const services = names.map((name, i) =>
      stopped(box, name, wanting(names[(i + 1) % names.length] ?? "")),
    );
    const sysmgr = await box.start();
    await reported(sysmgr, services, rotations(...names));
    await until(() => services.every((s) => s.status.state === "up"), "all are up");
    // A service is up soon after its call has returned, which its script need not have traced yet.
    for (const s of services) await until(() => s.count("code 0") + s.count("code 1"), "a code");
    expect(services.map((s) => s.starts.length)).toEqual(names.map(() => 1));
    // One has failed at least, and whoever waited for it went on.
    expect(services.filter((s) => s.count("code 1") === 1).length).toBeGreaterThanOrEqual(1);
    for (const s of services) expect(s.count("code 0") + s.count("code 1")).toBe(1);
    expect(reports(sysmgr).filter((line) => !rotations(...names).includes(line))).toEqual([]);
  });
}

for (const names of [
  ["a", "b"],
  ["a", "b", "c"],
]) {
  patientScenario(`a cycle of ${names.length} that is broken later comes up`, async (box) => {
    const services = names.map((name, i) =>
      stopped(box, name, needing(names[(i + 1) % names.length] ?? "")),
    );
    const sysmgr = await box.start();
    await reported(sysmgr, services, rotations(...names));
    expect(services.flatMap((s) => s.lines).filter((line) => line === "go")).toEqual([]);
    const [first] = services;
    if (first) place(first.entry, first.script(), 0o755);
    await box.run(["svctl", "restart", "a"]);
    await until(() => services.every((s) => s.status.state === "up"), "all are up");
  });
}

patientScenario("who waits for itself is told", async (box) => {
  const a = stopped(box, "a", wanting("a"));
  const sysmgr = await box.start();
  await begin(sysmgr, [a], () => a.traced("code 1"));
  expect(reports(sysmgr)).toEqual(["sysmgr-depends: cycle: a -> a"]);
  await a.is("up");
});

patientScenario("who waits for itself among others is told at once", async (box) => {
  stopped(box, "b");
  const a = stopped(box, "a", wanting("b", "./a"));
  const sysmgr = await box.start();
  await begin(sysmgr, [a], () => a.traced("code 1"));
  expect(reports(sysmgr)).toEqual(["sysmgr-depends: cycle: a -> a"]);
});

patientScenario("a cycle through one of several services is found", async (box) => {
  const ends = ["x", "y", "z"].map((name) => box.service(name));
  const a = stopped(box, "a", wanting("x", "y", "b"));
  const b = stopped(box, "b", wanting("z", "c", "x"));
  const c = stopped(box, "c", wanting("y", "a", "z"));
  const sysmgr = await box.start();
  await reported(sysmgr, [a, b, c], rotations("a", "b", "c"));
  await until(() => [a, b, c, ...ends].every((s) => s.status.state === "up"), "all are up");
});

patientScenario("a cycle made by several calls at once is found", async (box) => {
  const call = (name: string) => `{ '${DEPENDS}' ${name} || trace code $?; } &`;
  const both = (x: string, y: string) => `${call(x)} ${call(y)} wait\ntrace go\n${STAY}`;
  const db = box.service("db");
  const a = stopped(box, "a", both("db", "b"));
  const b = stopped(box, "b", both("a", "db"));
  const sysmgr = await box.start();
  await reported(sysmgr, [a, b], rotations("a", "b"));
  await until(() => [a, b, db].every((s) => s.status.state === "up"), "all are up");
});

patientScenario("a cycle of calls with -f is found, too", async (box) => {
  const [a, b] = [stopped(box, "a", wanting("-f", "b")), stopped(box, "b", wanting("a"))];
  const sysmgr = await box.start();
  await reported(sysmgr, [a, b], rotations("a", "b"));
  // If it was b that was told, a waits for an end of b that does not come: nothing hangs but that.
  await b.is("up");
});

patientScenario("who waits for a member of a cycle is no member", async (box) => {
  const [a, b] = [stopped(box, "a", wanting("b")), stopped(box, "b", wanting("a"))];
  const tail = stopped(box, "tail", needing("a"));
  const sysmgr = await box.start();
  await reported(sysmgr, [a, b, tail], rotations("a", "b"));
  await tail.traced("go");
  expect(reports(sysmgr).filter((line) => line.includes("tail"))).toEqual([]);
});

patientScenario("names in a report are fit for a terminal", async (box) => {
  const [x, y] = ["a\x1b[31m\n", "b \\"];
  const a = stopped(box, x ?? "", wanting(`'${y}'`));
  const b = stopped(box, y ?? "", wanting(`'${x}'`));
  const sysmgr = await box.start();
  await reported(sysmgr, [a, b], rotations("a\\x1b[31m\\x0a", "b \\x5c"));
  await until(() => a.status.state === "up" && b.status.state === "up", "both are up");
});

patientScenario("two that ask for each other while they are up are no cycle", async (box) => {
  const hook = (name: string) => `trap "'${DEPENDS}' ${name}; trace code \\$?" USR1
trace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;
  const [a, b] = [box.service("a", hook("b")), box.service("b", hook("a"))];
  const sysmgr = await box.start();
  for (const s of [a, b]) {
    await s.traced("ready");
    await s.is("up");
  }
  await box.run(["svctl", "usr1", "a", "b"]);
  await a.traced("code 0");
  await b.traced("code 0");
  expect(reports(sysmgr)).toEqual([]);
});

patientScenario(
  "a hook of what is up that waits for who waits for others is no cycle",
  async (box) => {
    const hook = `trap "'${DEPENDS}' web; trace code \\$?" USR1
trace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;
    const db = box.service("db", hook);
    const mail = stopped(box, "mail");
    const web = stopped(box, "web", needing("db", "mail"));
    const sysmgr = await box.start();
    await db.traced("ready");
    await db.is("up");
    await begin(sysmgr, [web]);
    await box.run(["svctl", "usr1", "db"]);
    await waits(db);
    await sysmgr.answers();
    expect(reports(sysmgr)).toEqual([]);
    mail.unmark();
    await web.traced("go");
    await db.traced("code 0");
    expect(reports(sysmgr)).toEqual([]);
  },
);

patientScenario("cycles that begin at the same moment never hang", async (box) => {
  const names = ["a", "b", "c"];
  const services = names.map((name, i) => stopped(box, name, wanting(names[(i + 1) % 3] ?? "")));
  const sysmgr = await box.start();
  await reported(sysmgr, services, rotations(...names));
  for (let round = 1; round <= 5; round++) {
    await until(() => services.every((s) => s.status.state === "up"), "all are up");
    for (const service of services) await service.running();
    expect(services.map((s) => s.starts.length)).toEqual(names.map(() => round));
    // Stopped first: while one of them is still up, there is no cycle.
    if (round < 5) await box.run(["svctl", "stop", ...names]);
    if (round < 5) await box.run(["svctl", "start", ...names]);
  }
  expect(sysmgr.count(/cycle/)).toBeGreaterThanOrEqual(1);
  expect(reports(sysmgr).filter((line) => !rotations(...names).includes(line))).toEqual([]);
});
