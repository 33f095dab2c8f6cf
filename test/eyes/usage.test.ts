/** What a session uses: all of its processes, and nobody else's. */
import { afterAll, expect, test } from "bun:test";
import { descriptorsOf, UsageMeter } from "../../src/eyes/usage.ts";
import { readName, readStat } from "../../src/proc.ts";
import { children, descriptors, kill } from "../lib/processes.ts";
import { until } from "../lib/until.ts";

const started: number[] = [];
afterAll(() => {
  for (const pid of started) kill(-pid, "SIGKILL");
});

/** A shell that leads a session. */
function leader(script: string): { pid: number; started: number } {
  const child = Bun.spawn(["sh", "-c", script], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore"],
  });
  started.push(child.pid);
  return { pid: child.pid, started: readStat(child.pid)?.started ?? 0 };
}

function isAsleep({ pid, state }: { pid: number; state: string }): boolean {
  return readName(pid) === "sleep" && state === "S";
}

test("the processes of a session, its memory and threads", async () => {
  const [one, two] = [leader("sleep 3600 & sleep 3600; :"), leader("sleep 3600; :")];
  const meter = new UsageMeter();
  const measure = () => meter.measure([one, two]);
  await until(() => measure().get(one.pid)?.pids.length === 3, "it has three processes");
  await until(() => measure().get(two.pid)?.pids.length === 2, "it has two");
  // Between fork and exec a child is another shell.
  await until(() => children(one.pid).every(isAsleep), "they are what they will be");
  const usage = measure().get(one.pid);
  expect([usage?.threads, usage?.pids.includes(one.pid)]).toEqual([3, true]);
  expect(usage?.memory).toBeGreaterThan(100_000);
  const open = (usage?.pids ?? []).map((pid) => descriptors(pid).size);
  expect(descriptorsOf(usage?.pids ?? [])).toBe(open.reduce((a, b) => a + b));
});

test("CPU time grows while it works, and that of ended children stays", async () => {
  const busy = leader(
    "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; (while [ $i -gt 0 ]; do i=$((i-1)); done); sleep 3600; :",
  );
  const meter = new UsageMeter();
  const cpu = () => meter.measure([busy]).get(busy.pid)?.cpu ?? 0;
  let last = 0;
  const isMonotonic = () => {
    let now = cpu();
    // A child that ends in the midst of it is counted nowhere, once.
    if (now < last) now = cpu();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
    return now;
  };
  await until(() => isMonotonic() > 0.02, "it uses CPU");
  const sleeps = () => children(busy.pid).some(isAsleep);
  await until(sleeps, "it has done its work");
  expect(isMonotonic()).toBe(cpu());
});

test("another process under the pid of a leader has no entry, nor has one that is gone", () => {
  const other = leader("sleep 3600; :");
  const gone = { pid: 2 ** 22 + 1, started: 1 };
  const recycled = { pid: other.pid, started: other.started + 1 };
  expect([...new UsageMeter().measure([recycled, gone]).keys()]).toEqual([]);
  expect(descriptorsOf([gone.pid])).toBeNull();
});
