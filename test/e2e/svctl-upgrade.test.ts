/** svctl upgrade: the running sysmgr becomes the binary on disk, or says why not. */
import { expect } from "bun:test";
import { AS_NOBODY } from "../lib/clients.ts";
import { link, list, place, remove, rename } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import type { Supervisor } from "../lib/supervisor.ts";

/** A sysmgr that was started by a link of ours, which may lead to something else later. */
async function replaceable(box: Sandbox): Promise<{ sysmgr: Supervisor; path: string }> {
  const path = `${box.dir}/sysmgr`;
  link(`${BIN}/sysmgr`, path);
  const sysmgr = await box.start({ wrapper: ["sh", "-c", 'shift; exec "$0" "$@"', path] });
  return { sysmgr, path };
}

scenario("upgrade keeps the pid of sysmgr and every service", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const { sysmgr, path } = await replaceable(box);
  const pids = [await web.running(), await db.running()];
  await box.run(["svctl", "stop", "db"]);
  for (let round = 1; round <= 3; round++) {
    expect(await box.run(["svctl", "upgrade"])).toEqual({ code: 0, out: "", err: "" });
    expect(sysmgr.count(new RegExp(`becoming ${path}$`))).toBe(round);
    expect([lives(sysmgr.pid), web.pid, web.starts.length]).toEqual([true, pids[0] ?? 0, 1]);
    expect((await box.run(["svctl", "status", "db"])).out).toStartWith("db: DOWN, stopped, ");
  }
  expect(await box.run(["svctl", "restart", "web", "db"])).toMatchObject({ code: 0, err: "" });
  await web.runningAfter(pids[0] ?? 0);
  await db.runningAfter(pids[1] ?? 0);
});

for (const [what, text, mode] of [
  ["is no program", "not a program\n", 0o644],
  ["does not answer --version", "#!/bin/sh\nexit 0\n", 0o755],
  ["fails", "#!/bin/sh\necho sysmgr 9.9.9\nexit 1\n", 0o755],
] as const) {
  scenario(`a binary that ${what} is refused, and all goes on`, async (box) => {
    const web = box.service("web");
    const { sysmgr, path } = await replaceable(box);
    const pid = await web.running();
    place(path, text, mode);
    const outcome = await box.run(["svctl", "upgrade"]);
    const err = "svctl: the upgrade was refused: sysmgr's messages say why\n";
    expect(outcome).toEqual({ code: 1, out: "", err });
    expect(sysmgr.count(/cannot upgrade: .*sysmgr.*/)).toBe(1);
    expect(web.pid).toBe(pid);
    remove(path);
    expect((await box.run(["svctl", "upgrade"])).code).toBe(1);
    link(`${BIN}/sysmgr`, `${path}.new`);
    rename(`${path}.new`, path);
    expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
    expect(await box.run(["svctl", "stop", "web"])).toMatchObject({ code: 0, err: "" });
  });
}

scenario("it says so when nobody answers; -n does not wait for that", async (box) => {
  const web = box.service("web");
  const { sysmgr } = await replaceable(box);
  await web.running();
  sysmgr.signal("SIGSTOP");
  expect(await box.run(["svctl", "-n", "upgrade"])).toEqual({ code: 0, out: "", err: "" });
  const late = await box.run(["svctl", "-t", "1", "upgrade"]);
  expect(late).toEqual({ code: 1, out: "", err: "svctl: no answer after 1 s\n" });
  sysmgr.signal("SIGCONT");
  await sysmgr.says(/becoming /);
  await sysmgr.answers();
  expect(list(`${box.rundir}/.control`)).toEqual([]);
  expect(web.starts.length).toBe(1);
});

scenario("upgrade takes no services: wrong usage", async (box) => {
  const { sysmgr } = await replaceable(box);
  const { code, out, err } = await box.run(["svctl", "upgrade", "web"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^svctl: [^\n]+\n$/);
  expect(sysmgr.count(/becoming/)).toBe(0);
});

scenario(
  "somebody else may not ask for it: svctl names the file",
  async (box) => {
    const { sysmgr } = await replaceable(box);
    const outcome = await box.run(["svctl", "upgrade"], { wrapper: AS_NOBODY });
    const err = `svctl: cannot write ${box.rundir}/.control/upgrade: Permission denied\n`;
    expect(outcome).toEqual({ code: 1, out: "", err });
    expect(sysmgr.count(/becoming/)).toBe(0);
  },
  have.setpriv,
);
