/**
 * A shutdown ends, whoever hangs: one clock for all, in order while there is time, and over in the
 * moment that the last one is gone. (sysmgr-shutdown has the plain cases.)
 */
import { expect } from "bun:test";
import { SHUTDOWN_TERM } from "../../../config.ts";
import { needing } from "../../lib/depends.ts";
import { append, list, makeDirectory, place, read, touch, write } from "../../lib/files.ts";
import { kill, lives } from "../../lib/processes.ts";
import { patientScenario, scenario } from "../../lib/scenario.ts";
import { lingering, lingeringUntil, type Service } from "../../lib/service.ts";
import { until } from "../../lib/until.ts";

const DEAF = "trap '' TERM\ntrace ready\nexec sleep 3600";

/** Stops without leaving anything, and says when it was told and when it ended. */
const ordered = (order: string, name: string) => `trap 'echo ${name} told >>${order}
kill $!; sleep 0.1; echo ${name} ends >>${order}; exit 0' TERM
trace ready
while :; do sleep 3600 & wait $!; done`;

/** Says that a service has asked for others in this life, as sysmgr-depends does. */
function depends(service: Service, ...others: string[]): void {
  makeDirectory(service.file("depends"));
  for (const other of others) touch(service.file(`depends/${other}`));
}

patientScenario("fifty that ignore TERM, in chains, are killed together at 7 s", async (box) => {
  const services = Array.from({ length: 50 }, (_, i) => box.service(`s${i}`, DEAF));
  const polite = box.service("polite");
  const sysmgr = await box.start();
  for (const service of services) await service.traced("ready");
  await polite.running();
  // Chains of five, each waiting for the one before it.
  for (const [i, service] of services.entries()) if (i % 5) depends(service, `s${i - 1}`);
  const before = performance.now();
  sysmgr.signal("SIGTERM");
  expect(await sysmgr.exited()).toBe(0);
  expect(performance.now() - before).toBeGreaterThan(6_900);
  expect(services.flatMap((s) => s.starts).filter(lives)).toEqual([]);
  expect(sysmgr.count(/: ended by signal KILL after /)).toBe(50);
  expect(sysmgr.count(/ polite: ended by signal TERM/)).toBe(1);
  const progress = sysmgr.messages.match(/waiting for .*/g) ?? [];
  expect(progress.length).toBeGreaterThanOrEqual(4);
  // The first may come before all that obey have ended, and the last while the killed ones end.
  const settled = progress.filter((line) => !/polite|\(0 s left/.test(line));
  expect(settled.length).toBeGreaterThanOrEqual(3);
  for (const line of settled) {
    expect(line).toMatch(
      /^waiting for s\d+, s\d+, s\d+, s\d+, s\d+ and \d+ more \([1-6] s left\)$/,
    );
  }
  const left = progress.map((line) => Number(line.match(/\((\d)/)?.[1]));
  expect(left).toEqual([...left].sort().reverse());
  expect(list(box.rundir)).toEqual([]);
});

for (const second of ["SIGINT", "SIGQUIT", "SIGHUP", "shutdown"] as const) {
  scenario(`${second} during a shutdown makes it quick, a third one not longer`, async (box) => {
    const web = box.service("web", DEAF);
    const sysmgr = await box.start();
    await web.traced("ready");
    place(`${box.rundir}/.control/shutdown`, "4\n");
    await sysmgr.says(/stopping 1 services/);
    if (second === "shutdown") place(`${box.rundir}/.control/shutdown`, "9\n");
    else sysmgr.signal(second);
    await sysmgr.says(/again: KILL in 1 s/);
    for (let i = 0; i < 5; i++) sysmgr.signal("SIGTERM");
    // What was asked for first is what the first asker gets.
    expect(await sysmgr.exited()).toBe(4);
    expect(sysmgr.count(/again: KILL/)).toBe(1);
    expect(sysmgr.count(/web: ended by signal KILL/)).toBe(1);
    expect(Number(sysmgr.messages.match(/all stopped after ([\d.]+) s/)?.[1])).toBeLessThan(6.9);
  });
}

patientScenario(
  "what ignores TERM in the session of a service that ended is killed",
  async (box) => {
    const deaf = (word: string) =>
      `sh -c 'trap "" TERM HUP; echo $$ >${box.dir}/${word}; while :; do sleep 3600; done'`;
    const web = box.service(
      "web",
      `${deaf("child")} &\nsetsid ${deaf("daemon")} &\nexec sleep 3600`,
    );
    const frozen = box.service(
      "frozen",
      `sleep 3601 &\necho $! >${box.dir}/stopped\nkill -STOP $!\nexec sleep 3600`,
    );
    const sysmgr = await box.start();
    const pids = await Promise.all(
      ["child", "daemon", "stopped"].map((word) =>
        until(() => Number(read(`${box.dir}/${word}`)), `${word} runs`),
      ),
    );
    const [pid] = [await web.running(), await frozen.running()];
    sysmgr.signal("SIGTERM");
    await until(() => !lives(pid), "web has ended");
    await until(() => !lives(pids[2] ?? 0), "what was stopped has got TERM and CONT");
    expect(pids.slice(0, 2).map(lives)).toEqual([true, true]);
    expect(await sysmgr.exited()).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
  },
);

scenario(
  "a chain that sysmgr-depends made is taken down from its end, taken over or not",
  async (box) => {
    const order = `${box.dir}/order`;
    const chain = (name: string, ...needs: string[]) =>
      needs.length === 0
        ? ordered(order, name)
        : needing(...needs).replace("trace go\nexec sleep 3600", ordered(order, name));
    const web = box.service("web", chain("web", "app", "cache"));
    const app = box.service("app", chain("app", "db"));
    const cache = box.service("cache", chain("cache", "db"));
    const db = box.service("db", chain("db"));
    const first = await box.start();
    for (const service of [db, cache, app, web]) await service.traced("ready");
    await first.crash();
    const second = await box.start();
    await second.says(/took over 4/);
    const took = await second.stop();
    const told = (read(order) ?? "").trim().split("\n");
    expect(told.length).toBe(8);
    // Then all that are left are told.
    if (took >= SHUTDOWN_TERM) return;
    expect([told[0], told[1], told[6], told[7]]).toEqual([
      "web told",
      "web ends",
      "db told",
      "db ends",
    ]);
  },
);

scenario("cycles, and who depends on them or on itself, hold nobody up", async (box) => {
  const order = `${box.dir}/order`;
  const names = ["a", "b", "c", "above", "below", "self"];
  const services = names.map((name) => box.service(name, ordered(order, name)));
  const [a, b, c, above, , self] = services as [
    Service,
    Service,
    Service,
    Service,
    Service,
    Service,
  ];
  const sysmgr = await box.start();
  for (const service of services) await service.traced("ready");
  depends(a, "b", "below");
  depends(b, "c");
  depends(c, "a");
  depends(above, "b");
  depends(self, "self", "nosuch", ".hidden");
  const took = await sysmgr.stop();
  const told = (read(order) ?? "").trim().split("\n");
  expect(told.length).toBe(12);
  if (took >= SHUTDOWN_TERM) return;
  expect(told.indexOf("b told")).toBeGreaterThan(told.indexOf("above ends"));
  expect(told.indexOf("below told")).toBeGreaterThan(told.indexOf("a ends"));
  expect(sysmgr.messages).not.toMatch(/KILL/);
});

scenario("it is over as soon as the last one is gone, long before any limit", async (box) => {
  const [web, db] = [box.service("web", lingering(0.6)), box.service("db")];
  const sysmgr = await box.start();
  await web.traced("ready");
  await db.running();
  await sysmgr.stop();
  expect(web.count("gone")).toBe(1);
  const seconds = Number(sysmgr.messages.match(/all stopped after ([\d.]+) s/)?.[1]);
  expect(seconds).toBeGreaterThanOrEqual(0.6);
  // Before anybody would be killed, so it was no limit of the clock that ended it.
  expect(seconds).toBeLessThan(7);
});

scenario("what ends by itself, crashes or waits during a shutdown delays nothing", async (box) => {
  const gate = `${box.dir}/gate`;
  const slow = box.service("slow", lingeringUntil(gate));
  const [crashing, backoff] = [box.service("crashing"), box.service("backoff", "exit 1")];
  const waiting = box.service("waiting", needing("broken"));
  box.declare("broken").install("", 0o644);
  const sysmgr = await box.start();
  await slow.traced("ready");
  const pid = await crashing.running();
  await backoff.is("backoff");
  await until(() => list(waiting.file("waiting")).length === 1, "it waits");
  depends(slow, "crashing");
  sysmgr.signal("SIGTERM");
  await slow.traced("term");
  kill(pid, "SIGKILL");
  append(`${box.rundir}/.control/scan`, "");
  sysmgr.signal("SIGALRM");
  touch(gate);
  expect(await sysmgr.exited()).toBe(0);
  expect([slow, crashing, waiting].map((s) => s.starts.length)).toEqual([1, 1, 1]);
  expect(slow.count("gone")).toBe(1);
});

scenario("who multiplies in its session during a shutdown is swept all the same", async (box) => {
  // Each TERM begets two more, up to a limit.
  const script = `${box.dir}/hydra`;
  const body = `#!/bin/sh
n=$1
trap '[ $n -gt 0 ] && { ${script} $((n - 1)) & ${script} $((n - 1)) & }; kill $!; exit' TERM
sleep 3600 & echo $n >>${box.dir}/heads; wait\n`;
  write(script, body.replace("kill $!; exit", "exit"), 0o755);
  const web = box.service("web", `${script} 3 &\nexec sleep 3600`);
  const sysmgr = await box.start();
  await web.running();
  await until(() => read(`${box.dir}/heads`), "its head is there");
  await sysmgr.stop();
  expect(sysmgr.messages).toMatch(/all stopped/);
});
