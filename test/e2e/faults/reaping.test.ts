/** A thousand at once: every orphan is reaped, and how each service ended is told exactly. */
import { expect } from "bun:test";
import { closeSync, constants, openSync } from "node:fs";
import { children, kill, lives, readStat } from "../../lib/processes.ts";
import type { Sandbox } from "../../lib/sandbox.ts";
import { scenario } from "../../lib/scenario.ts";
import type { Service } from "../../lib/service.ts";
import { until } from "../../lib/until.ts";

const MANY = 1_000;

/** All who read from it wait, until release(). */
async function makeGate(box: Sandbox): Promise<string> {
  const gate = `${box.dir}/gate`;
  expect(await box.run(["mkfifo", gate])).toMatchObject({ code: 0 });
  return gate;
}

/** Those who wait go on all together; who comes later waits again. */
function release(gate: string): void {
  closeSync(openSync(gate, constants.O_WRONLY | constants.O_NONBLOCK));
}

const code = (i: number) => 1 + (i % 250);

/** Forks so many that wait at the gate and are nobody's children. */
const forking = (gate: string, count: number) => `i=0
while [ $i -lt ${count} ]; do (read x <${gate} &); i=$((i + 1)); done
trace forked
exec sleep 3600`;

scenario(
  "1,000 services and 1,000 orphans that end together: no zombie, no exit code lost",
  async (box) => {
    const gate = await makeGate(box);
    const services = Array.from({ length: MANY }, (_, i) =>
      box.service(`s${i}`, `read x <${gate}\nexit ${code(i)}`),
    );
    const forker = box.service("forker", forking(gate, MANY));
    const sysmgr = await box.start({ args: ["-q"] });
    await until(() => services.every((s) => s.starts.length === 1), "all run");
    await forker.traced("forked");
    const all = 2 * MANY + 1;
    await until(() => children(sysmgr.pid).length === all, "all are children of sysmgr");
    // Young ones go to a backoff, old ones begin a second life, which waits at the gate again.
    await services.at(-1)?.aged(1000);
    await until(() => children(sysmgr.pid).every((p) => p.state === "S"), "all wait");
    release(gate);
    await until(() => services.every((s) => s.starts.length === 2), "all are started again");
    await until(() => children(sysmgr.pid).length === MANY + 1, "the orphans are reaped");
    const told = services.map((s) => s.status.exit);
    expect(told).toEqual(services.map((_, i) => String(code(i))));
    // The last one may run before sysmgr has written down that it does.
    const isAgain = (s: Service) => s.status.runs === "2" && s.status.state !== "down";
    await until(() => services.every(isAgain), "all are told to run again");
    expect(children(sysmgr.pid).filter((p) => p.state === "Z")).toEqual([]);
    expect(forker.starts.length).toBe(1);
  },
);

scenario("orphans of orphans come to sysmgr, and none of them is a service's end", async (box) => {
  // The second of two double forks ends first; every pid that dies is no service's.
  const deep = "( ( ( sleep 0.2; exit 9 ) & exec sleep 0.1 ) & ) ; ( setsid sleep 0.2 & )";
  const web = box.service(
    "web",
    `for i in 1 2 3 4 5; do ${deep}; done\ntrace forked\nexec sleep 3600`,
  );
  const sysmgr = await box.start();
  const pid = await web.running();
  await web.traced("forked");
  await until(() => children(sysmgr.pid).length === 1, "only web is left");
  expect([web.pid, web.status.exit, web.starts.length]).toEqual([pid, undefined, 1]);
});

scenario("a service that ends while its orphans die around it is told right", async (box) => {
  const storm = "i=0; while [ $i -lt 20 ]; do (exit 77 &); i=$((i + 1)); done";
  const services = Array.from({ length: 20 }, (_, i) =>
    box.service(`s${i}`, `${storm}\n${storm}\nexit ${i + 1}`),
  );
  const sysmgr = await box.start();
  for (const [i, service] of services.entries()) {
    await until(() => service.status.exit !== undefined, `${service.name} has ended`);
    expect(service.status.exit).toBe(String(i + 1));
  }
  await until(() => children(sysmgr.pid).every((p) => p.state !== "Z"), "no zombie is left");
});

scenario("zombies of a dead sysmgr's services are nobody's to wait for", async (box) => {
  const services = Array.from({ length: 50 }, (_, i) => box.service(`s${i}`));
  const first = await box.start();
  const pids = await Promise.all(services.map((s) => s.running()));
  await first.crash();
  const second = await box.start();
  for (const pid of pids) kill(pid, "SIGKILL");
  for (const [i, service] of services.entries()) {
    await until(() => service.status.exit === "unknown", "its end is noticed");
    expect(lives(pids[i] ?? 0)).toBeFalse();
  }
  expect(children(second.pid).filter((p) => p.state === "Z")).toEqual([]);
});

scenario(
  "what sysmgr had as children before it was executed is reaped, too",
  async (box) => {
    // A shell that forks and then becomes sysmgr, as a container's entrypoint script does.
    const wrapper = ["sh", "-c", 'sleep 0.3 & exec "$@"', "sh"];
    const sysmgr = await box.start({ wrapper });
    await until(() => children(sysmgr.pid).length === 0, "its child is reaped");
    expect(readStat(sysmgr.pid)).not.toBeNull();
  },
  true,
);
