/** SYSDIR goes, comes, cannot be read or is another one: nothing is stopped that should not be. */
import { expect } from "bun:test";
import { chmodSync } from "node:fs";
import { link, makeDirectory, place, remove, rename, write } from "../lib/files.ts";
import { lives, readName } from "../lib/processes.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { holds, until } from "../lib/until.ts";

/** Longer than an entry may be missing. */
const LONG = 2.6;

scenario("a SYSDIR that is missing is waited for", async (box) => {
  remove(box.sysdir);
  const web = box.declare("web");
  const sysmgr = await box.start();
  await sysmgr.says(/cannot read SYSDIR: No such file or directory/);
  for (const _ of [1, 2, 3]) await sysmgr.answers();
  expect(sysmgr.count(/cannot read SYSDIR/)).toBe(1);
  makeDirectory(box.sysdir);
  web.install();
  await web.running();
});

scenario("a SYSDIR whose parents are missing is waited for", async (box) => {
  const web = box.declare("web");
  const deep = `${box.dir}/a/b/c`;
  await box.start({ args: ["-d", deep] });
  makeDirectory(`${box.dir}/a`);
  makeDirectory(`${box.dir}/a/b`);
  write(`${box.dir}/a/b/web`, web.script(), 0o755);
  makeDirectory(deep);
  rename(`${box.dir}/a/b/web`, `${deep}/web`);
  await web.running();
});

scenario("a SYSDIR that is a file is waited for", async (box) => {
  remove(box.sysdir);
  write(box.sysdir, "");
  const web = box.declare("web");
  const sysmgr = await box.start();
  await sysmgr.says(/cannot read SYSDIR: Not a directory/);
  remove(box.sysdir);
  makeDirectory(box.sysdir);
  web.install();
  await web.running();
});

patientScenario("a SYSDIR that is removed stops nothing; made again it counts", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  const [pid, other] = [await web.running(), await db.running()];
  remove(box.sysdir);
  await sysmgr.says(/cannot read SYSDIR: No such file/);
  await holds(() => web.pid === pid && db.pid === other, "both run", LONG);
  const mail = box.declare("mail");
  makeDirectory(box.sysdir);
  web.install();
  mail.install();
  await mail.running();
  await box.gone(db);
  expect(web.pid).toBe(pid);
  expect(web.starts.length).toBe(1);
});

patientScenario(
  "a SYSDIR that was removed and made again in one moment, many times",
  async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    const pid = await web.running();
    for (let i = 0; i < 50; i++) {
      remove(box.sysdir);
      makeDirectory(box.sysdir);
      web.install();
    }
    await sysmgr.answers();
    box.service("late");
    await box.declare("late").is("up");
    await holds(() => web.pid === pid, "web runs on", LONG);
    expect(web.starts.length).toBe(1);
  },
);

patientScenario(
  "a SYSDIR that cannot be read stops nothing",
  async (box) => {
    const web = box.service("web");
    const wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    const sysmgr = await box.start({ wrapper });
    const pid = await web.running();
    chmodSync(box.sysdir, 0o000);
    await sysmgr.answers();
    await sysmgr.says(/cannot read SYSDIR: Permission denied/);
    await holds(() => web.pid === pid, "web runs on", LONG);
    const late = box.service("late");
    chmodSync(box.sysdir, 0o755);
    await late.running();
    expect([web.pid, sysmgr.count(/cannot read SYSDIR/)]).toEqual([pid, 1]);
  },
  have.setpriv,
);

scenario(
  "a SYSDIR that cannot be read at the start is waited for",
  async (box) => {
    const web = box.service("web");
    chmodSync(box.sysdir, 0o000);
    const wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    const sysmgr = await box.start({ wrapper });
    await sysmgr.says(/cannot read SYSDIR: Permission denied/);
    expect(web.starts).toEqual([]);
    chmodSync(box.sysdir, 0o755);
    await web.running();
  },
  have.setpriv,
);

patientScenario("a SYSDIR that was emptied is empty: everything stops", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  await web.running();
  await db.running();
  web.uninstall();
  db.uninstall();
  await box.gone(web);
  await box.gone(db);
});

patientScenario("a SYSDIR that is a link which is swapped is the new one", async (box) => {
  const [web, db, mail] = ["web", "db", "mail"].map((name) => box.declare(name)) as [
    ReturnType<typeof box.declare>,
    ReturnType<typeof box.declare>,
    ReturnType<typeof box.declare>,
  ];
  for (const dir of ["one", "two"]) makeDirectory(`${box.dir}/${dir}`);
  remove(box.sysdir);
  link("one", box.sysdir);
  for (const path of ["one/web", "two/web"]) place(`${box.dir}/${path}`, web.script(), 0o755);
  place(`${box.dir}/one/db`, db.script(), 0o755);
  place(`${box.dir}/two/mail`, mail.script(), 0o755);
  await box.start();
  const pid = await web.running();
  await db.running();
  link("two", `${box.dir}/next`);
  rename(`${box.dir}/next`, box.sysdir);
  await mail.running();
  await box.gone(db);
  expect(web.pid).toBe(pid);
  // It is the new one that is watched.
  const late = box.service("late");
  await late.running();
  expect(web.starts.length).toBe(1);
});

patientScenario(
  "a link in the middle of SYSDIR's path that is swapped counts, too",
  async (box) => {
    const web = box.declare("web");
    const mail = box.declare("mail");
    for (const dir of ["v1/etc/sys", "v2/etc/sys"]) makeDirectory(`${box.dir}/${dir}`);
    for (const v of ["v1", "v2"]) place(`${box.dir}/${v}/etc/sys/web`, web.script(), 0o755);
    place(`${box.dir}/v2/etc/sys/mail`, mail.script(), 0o755);
    link("v1", `${box.dir}/current`);
    link("current/etc", `${box.dir}/etc`);
    await box.start({ args: ["-d", `${box.dir}/etc/sys`] });
    const pid = await web.running();
    link("v2", `${box.dir}/next`);
    rename(`${box.dir}/next`, `${box.dir}/current`);
    await mail.running();
    remove(`${box.dir}/v1`);
    const late = box.declare("late");
    place(`${box.dir}/v2/etc/sys/late`, late.script(), 0o755);
    await late.running();
    await holds(() => web.pid === pid, "web runs on", LONG);
  },
);

patientScenario("a SYSDIR that was moved away for another one is that one", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const late = box.declare("late");
  await box.start();
  const pid = await web.running();
  await db.running();
  makeDirectory(`${box.dir}/other`);
  place(`${box.dir}/other/web`, web.script(), 0o755);
  rename(box.sysdir, `${box.dir}/old`);
  rename(`${box.dir}/other`, box.sysdir);
  late.install();
  await late.running();
  await box.gone(db);
  expect(web.pid).toBe(pid);
});

patientScenario(
  "a SYSDIR that is unmounted stops nothing; mounted again it counts",
  async (box) => {
    const mount = `mount -t tmpfs -o mode=755 sys ${box.sysdir}`;
    const wrapper = ["unshare", "-m", "sh", "-c", `${mount} && exec "$@"`, "sh"];
    const sysmgr = await box.start({ wrapper, elsewhere: true });
    const within = (command: string) =>
      box.run(["nsenter", "-t", `${sysmgr.pid}`, "-m", "sh", "-c", command]);
    const [web, db] = [box.service("web"), box.service("db")];
    const [pid, other] = [await web.running(), await db.running()];
    // Until then a shell has its script open.
    await until(() => [pid, other].every((p) => readName(p) === "sleep"), "both sleep");

    expect((await within(`umount ${box.sysdir}`)).err).toBe("");
    for (const _ of [1, 2, 3]) await sysmgr.answers();
    await sysmgr.says(/cannot read SYSDIR: it is not mounted/);
    await holds(() => web.pid === pid && db.pid === other, "both run on", LONG);
    sysmgr.signal("SIGALRM");
    await holds(() => lives(pid) && lives(other), "both live", LONG);

    expect((await within(mount)).err).toBe("");
    web.install();
    const mail = box.service("mail");
    await sysmgr.answers();
    await mail.running();
    await box.gone(db);
    expect([web.pid, web.starts.length]).toEqual([pid, 1]);
    const late = box.service("late");
    await late.running();
  },
  have.mounts && have.nsenter,
);

patientScenario("ten thousand changes in SYSDIR lose none", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  sysmgr.signal("SIGSTOP");
  // More than fs.inotify.max_queued_events, one after the other: equal neighbours are merged.
  for (let i = 0; i < 20_000; i++) write(`${box.sysdir}/.noise${i % 2}`, "");
  const late = box.service("late");
  const marked = box.service("marked");
  web.mark();
  sysmgr.signal("SIGCONT");
  await late.running();
  await marked.running();
  await web.is("down");
  expect(lives(pid)).toBeFalse();
  await until(() => sysmgr.count(/internal error/) === 0, "no error");
});
