/** pmtr: when it, or the scanner below it, is killed, no job notices. */
import { expect } from "bun:test";
import { exists, list, place, read, remove, write } from "../lib/files.ts";
import { job, type PmtrBox, STAYS, scenario } from "../lib/pmtr.ts";
import { kill, lives, readStat } from "../lib/processes.ts";
import { until } from "../lib/until.ts";

async function crash(pid: number): Promise<void> {
  kill(pid, "SIGKILL");
  await until(() => !lives(pid), "it is dead");
}

/** The scanner that works after that one. */
async function scannerAfter(p: PmtrBox, old: number): Promise<number> {
  return await until(
    () => p.scannerPid !== old && lives(p.scannerPid) && p.scannerPid,
    "a scanner",
  );
}

scenario("pmtr is killed: jobs run on, supervised; the next one leaves them alone", async (p) => {
  p.edit(job("web", STAYS), job("db", STAYS));
  const pmtr = await p.start();
  const [web, db, scanner] = [await p.runs("web"), await p.runs("db"), p.scannerPid];
  await crash(pmtr.pid);
  kill(db, "SIGKILL");
  await p.job("db").is("backoff");
  p.edit(job("web", STAYS), job("mail", STAYS));
  const next = await p.start();
  await p.runs("mail");
  await until(() => !exists(`${p.place}/jobs/db`), "what was deleted meanwhile goes");
  expect([p.pid("web"), p.scannerPid]).toEqual([web, scanner]);
  // What the scanner says comes to its new reader.
  kill(p.pid("mail") ?? 0, "SIGKILL");
  await next.says(/^pmtr: mail: ended by signal KILL/);
});

scenario("the scanner is killed: another one takes the jobs over", async (p) => {
  p.edit(job("web", STAYS), job("done", "cmd /bin/true", "once"));
  const pmtr = await p.start();
  const web = await p.runs("web");
  await p.job("done").is("down");
  const { runs } = p.job("done").status;
  const before = p.scannerPid;
  await crash(before);
  await pmtr.says(/the supervisor of the jobs has ended; starting another one/);
  const after = await scannerAfter(p, before);
  expect(readStat(after)?.ppid).toBe(pmtr.pid);
  p.edit(job("web", STAYS), job("done", "cmd /bin/true", "once"), job("db", STAYS));
  await p.runs("db");
  expect(p.pid("web")).toBe(web);
  expect(p.job("done").status.runs).toBe(runs);
});

scenario(
  "both are killed: the next pmtr starts a scanner, which takes the jobs over",
  async (p) => {
    p.edit(
      job("web", STAYS),
      job("changes", STAYS),
      job("goes", STAYS),
      job("done", "cmd /bin/true", "once"),
    );
    const pmtr = await p.start();
    const [web, changes, goes] = [
      await p.runs("web"),
      await p.runs("changes"),
      await p.runs("goes"),
    ];
    await p.job("done").is("down");
    const scanner = p.scannerPid;
    await crash(pmtr.pid);
    await crash(scanner);
    expect([web, changes, goes].every(lives)).toBeTrue();
    p.edit(
      job("web", STAYS),
      job("changes", "cmd /bin/sleep 3601"),
      job("done", "cmd /bin/true", "once"),
    );
    await p.start();
    await p.runs("changes", changes);
    await until(() => !lives(goes), "what was deleted ends");
    expect([p.pid("web"), p.job("done").status.runs]).toEqual([web, "1"]);
  },
);

scenario("a wait is held over a crash", async (p) => {
  const gate = `${p.box.dir}/gate`;
  const wait = p.script("wait", `while [ ! -e '${gate}' ]; do sleep 0.1; done`);
  p.edit(job("setup", `cmd ${wait}`, "wait", "once"), job("web", STAYS));
  const pmtr = await p.start();
  const setup = await p.runs("setup");
  await crash(pmtr.pid);
  await p.start();
  await p.settled();
  expect([p.pid("setup"), exists(`${p.place}/jobs/web`)]).toEqual([setup, false]);
  write(gate, "");
  await p.runs("web");
  await p.job("setup").is("down");
});

scenario("a file that changed while nobody looked restarts who depends on it", async (p) => {
  const file = `${p.box.dir}/file`;
  write(file, "1");
  p.edit(job("web", STAYS, "depends {", file, "}"), job("db", STAYS));
  const pmtr = await p.start();
  const [web, db] = [await p.runs("web"), await p.runs("db")];
  await crash(pmtr.pid);
  place(file, "2");
  await p.start();
  await p.runs("web", web);
  expect(p.pid("db")).toBe(db);
});

scenario("what a killed pmtr has left half made is made again", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const web = await p.runs("web");
  await crash(pmtr.pid);
  Bun.spawnSync(["mkdir", `${p.place}/jobs/.new`]);
  write(`${p.place}/jobs/.new/run`, "half");
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.start();
  await p.runs("db");
  expect([p.pid("web"), list(`${p.place}/jobs`).sort()]).toEqual([web, [".order", "db", "web"]]);
});

scenario(
  "a pmtr that is started elsewhere restarts only jobs for which that matters",
  async (p) => {
    p.edit(job("here", STAYS), job("there", STAYS, "dir /"));
    const pmtr = await p.start();
    const [here, there] = [await p.runs("here"), await p.runs("there")];
    await crash(pmtr.pid);
    await p.start({ cwd: "/usr" });
    await p.runs("here", here);
    expect(p.pid("there")).toBe(there);
  },
);

scenario("what another boot has left is no beginning: all is started anew, in order", async (p) => {
  const gate = `${p.box.dir}/gate`;
  const wait = p.script("wait", `while [ ! -e '${gate}' ]; do sleep 0.1; done`);
  write(gate, "");
  p.edit(job("setup", `cmd ${wait}`, "wait", "once"), job("web", STAYS));
  const pmtr = await p.start();
  const web = await p.runs("web");
  const scanner = p.scannerPid;
  for (const pid of [pmtr.pid, scanner, web]) await crash(pid);
  for (const name of ["setup", "web"]) {
    const status = p.job(name).file("status");
    place(status, (read(status) ?? "").replace(/^boot=.*/m, "boot=another"));
  }
  remove(gate);
  await p.start();
  await p.runs("setup");
  await p.settled();
  expect(exists(`${p.place}/jobs/web`)).toBeFalse();
  write(gate, "");
  await p.runs("web");
});
