/** Without inotify instances, or with too few watches, everything works a second later. */
import { expect } from "bun:test";
import { write } from "../lib/files.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import type { Supervisor } from "../lib/supervisor.ts";

/**
 * Limits count per user namespace: in one of its own they hurt nobody else. Made by another user
 * than root it would call everything above SYSDIR a stranger's.
 */
const canLimit = have.root && have.userns;

function limited(name: "instances" | "watches", limit: number): readonly string[] {
  const set = `echo ${limit} >/proc/sys/user/max_inotify_${name}`;
  return ["unshare", "-Ur", "sh", "-c", `${set} && exec "$@"`, "sh"];
}

async function raise(box: Sandbox, sysmgr: Supervisor, name: string): Promise<void> {
  const set = `echo 1000 >/proc/sys/user/max_inotify_${name}`;
  const { code, err } = await box.run([
    "nsenter",
    "-t",
    `${sysmgr.pid}`,
    "-U",
    "--preserve-credentials",
    "sh",
    "-c",
    set,
  ]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
}

/** Everything that events usually tell of. */
async function everythingWorks(box: Sandbox): Promise<void> {
  const web = box.service("web", trapping("HUP"));
  const pid = await web.running();
  await web.traced("ready");
  await web.command("hup");
  await web.traced("HUP");
  web.mark();
  await web.is("down");
  web.unmark();
  await web.runningAfter(pid);
  const bad = box.declare("bad").install("", 0o644);
  await bad.is("failed");
  write(bad.entry, bad.script(), 0o755);
  await bad.running();
  web.uninstall();
  await box.gone(web);
}

patientScenario(
  "without an inotify instance it looks every second, and says so once",
  async (box) => {
    const sysmgr = await box.start({ wrapper: limited("instances", 0) });
    await sysmgr.says(/cannot watch files: Too many open files; looking every second instead/);
    await everythingWorks(box);
    expect(sysmgr.count(/cannot watch/)).toBe(1);
  },
  canLimit,
);

for (const limit of [0, 1, 2, 3, 4, 5]) {
  patientScenario(
    `with ${limit} inotify watches it looks every second, and says so once`,
    async (box) => {
      const sysmgr = await box.start({ wrapper: limited("watches", limit) });
      await everythingWorks(box);
      await sysmgr.says(/cannot watch files: No space left on device; looking every second/);
      expect(sysmgr.count(/cannot watch/)).toBe(1);
    },
    canLimit,
  );
}

for (const name of ["instances", "watches"] as const) {
  patientScenario(
    `inotify ${name} that are to be had again are used again`,
    async (box) => {
      const other = box.service("other");
      const sysmgr = await box.start({ wrapper: limited(name, 0) });
      const pid = await other.running();
      await sysmgr.says(/cannot watch files/);
      await raise(box, sysmgr, name);
      await everythingWorks(box);
      expect(other.pid).toBe(pid);
      sysmgr.rebase();
    },
    canLimit && have.nsenter,
  );
}
