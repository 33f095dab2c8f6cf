/** What root must not run or believe; needs root, since others are only themselves. */
import { expect } from "bun:test";
import { chmodSync, lchownSync } from "node:fs";
import { link, makeDirectory, place, raw, remove, rename } from "../lib/files.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import type { Service } from "../lib/service.ts";

/** Anybody: it does not matter who. */
const NOBODY = 65534;

const give = (path: string) => lchownSync(raw(path), NOBODY, NOBODY);
const openUp = (path: string) => chmodSync(raw(path), 0o777);
const close = (path: string) => chmodSync(raw(path), 0o755);
const take = (path: string) => lchownSync(raw(path), 0, 0);

/** Entries that root must not run; `web` is declared, not installed. */
const insecureEntries: [string, (web: Service, box: Sandbox) => void, RegExp][] = [
  [
    "a file that anybody may write",
    (web) => {
      web.install(undefined, 0o777);
    },
    /^insecure: anybody may write it$/,
  ],
  [
    "a file of another user",
    (web, box) => {
      place(`${box.dir}/web`, web.script(), 0o755);
      give(`${box.dir}/web`);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: it belongs to uid 65534$/,
  ],
  [
    "a link of another user",
    (web, box) => {
      place(`${box.dir}/web`, web.script(), 0o755);
      link(`${box.dir}/web`, `${box.dir}/link`);
      give(`${box.dir}/link`);
      rename(`${box.dir}/link`, web.entry);
    },
    /^insecure: it belongs to uid 65534$/,
  ],
  [
    "a link to a file that anybody may write",
    (web, box) => {
      place(`${box.dir}/web`, web.script(), 0o777);
      link(`${box.dir}/web`, web.entry);
    },
    /^insecure: anybody may write it$/,
  ],
  [
    "a link to a file of another user",
    (web, box) => {
      place(`${box.dir}/web`, web.script(), 0o755);
      give(`${box.dir}/web`);
      link(`${box.dir}/web`, web.entry);
    },
    /^insecure: it belongs to uid 65534$/,
  ],
  [
    "a link into a directory that anybody may write",
    (web, box) => {
      makeDirectory(`${box.dir}/open`, 0o777);
      place(`${box.dir}/open/web`, web.script(), 0o755);
      link(`${box.dir}/open/web`, web.entry);
    },
    /^insecure: /,
  ],
  [
    "a link into a directory of another user",
    (web, box) => {
      makeDirectory(`${box.dir}/theirs`);
      place(`${box.dir}/theirs/web`, web.script(), 0o755);
      give(`${box.dir}/theirs`);
      link(`${box.dir}/theirs/web`, web.entry);
    },
    /^insecure: /,
  ],
  [
    "a directory that anybody may write",
    (web, box) => {
      makeDirectory(`${box.dir}/web`, 0o777);
      place(`${box.dir}/web/run`, web.script(), 0o755);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: anybody may write it$/,
  ],
  [
    "a directory with the sticky bit that anybody may write",
    (web, box) => {
      makeDirectory(`${box.dir}/web`, 0o1777);
      place(`${box.dir}/web/run`, web.script(), 0o755);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: anybody may write it$/,
  ],
  [
    "a directory of another user",
    (web, box) => {
      makeDirectory(`${box.dir}/web`);
      place(`${box.dir}/web/run`, web.script(), 0o755);
      give(`${box.dir}/web`);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: it belongs to uid 65534$/,
  ],
  [
    "a directory whose run anybody may write",
    (web, box) => {
      makeDirectory(`${box.dir}/web`);
      place(`${box.dir}/web/run`, web.script(), 0o777);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: run: anybody may write it$/,
  ],
  [
    "a directory whose run is of another user",
    (web, box) => {
      makeDirectory(`${box.dir}/web`);
      place(`${box.dir}/web/run`, web.script(), 0o755);
      give(`${box.dir}/web/run`);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: run: it belongs to uid 65534$/,
  ],
  [
    "a directory whose run is a link into a directory of another user",
    (web, box) => {
      makeDirectory(`${box.dir}/theirs`);
      place(`${box.dir}/theirs/run`, web.script(), 0o755);
      give(`${box.dir}/theirs`);
      makeDirectory(`${box.dir}/web`);
      link(`${box.dir}/theirs/run`, `${box.dir}/web/run`);
      rename(`${box.dir}/web`, web.entry);
    },
    /^insecure: run: .*\/theirs: it belongs to uid 65534$/,
  ],
];

for (const [what, make, reason] of insecureEntries) {
  scenario(
    `${what} is not run, which is said, until root owns it alone`,
    async (box) => {
      const [web, other] = [box.declare("web"), box.service("other")];
      const sysmgr = await box.start();
      const pid = await other.running();
      make(web, box);
      await web.is("failed");
      expect(web.status.reason).toMatch(reason);
      await sysmgr.says(/^sysmgr: web: cannot start: insecure: /m);
      await web.command("up");
      await sysmgr.answers();
      expect(web.starts).toEqual([]);
      remove(web.entry);
      web.install();
      await web.running();
      expect(other.pid).toBe(pid);
    },
    have.root,
  );
}

scenario(
  "an entry that becomes secure is started, one that becomes insecure runs until its end",
  async (box) => {
    const web = box.declare("web").install(undefined, 0o777);
    await box.start();
    await web.is("failed");
    close(web.entry);
    const pid = await web.running();
    give(web.entry);
    await web.is("up");
    expect(web.pid).toBe(pid);
    await web.command("restart");
    await web.is("failed");
    take(web.entry);
    await web.runningAfter(pid);
  },
  have.root,
);

/** What makes all of SYSDIR unfit, and fit again; the directory in question is box.dir/above. */
const insecureDirectories: [string, (above: string) => void, (above: string) => void][] = [
  ["SYSDIR that anybody may write", (a) => openUp(`${a}/sys`), (a) => close(`${a}/sys`)],
  [
    "SYSDIR with the sticky bit that anybody may write",
    (a) => chmodSync(raw(`${a}/sys`), 0o1777),
    (a) => close(`${a}/sys`),
  ],
  ["SYSDIR of another user", (a) => give(`${a}/sys`), (a) => take(`${a}/sys`)],
  ["a directory above SYSDIR that anybody may write", openUp, close],
  ["a directory above SYSDIR of another user", give, take],
];

for (const [what, spoil, mend] of insecureDirectories) {
  scenario(
    `${what}: nothing is run, which is said, until it is right`,
    async (box) => {
      const web = box.declare("web");
      const above = `${box.dir}/above`;
      makeDirectory(`${above}/sys`);
      place(`${above}/sys/web`, web.script(), 0o755);
      spoil(above);
      const sysmgr = await box.start({ args: ["-d", `${above}/sys`] });
      await sysmgr.says(/^sysmgr: cannot read SYSDIR: insecure: /m);
      for (const _ of [1, 2, 3]) await sysmgr.answers();
      expect(sysmgr.count(/insecure/)).toBe(1);
      expect(web.starts).toEqual([]);
      mend(above);
      sysmgr.signal("SIGALRM");
      const pid = await web.running();
      // What runs is not stopped, but nothing is started from there any more.
      spoil(above);
      await sysmgr.answers();
      expect(web.pid).toBe(pid);
      mend(above);
    },
    have.root,
  );
}

scenario(
  "nothing is started from a SYSDIR that has become insecure, not even what was known",
  async (box) => {
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    openUp(box.sysdir);
    await web.command("restart");
    await web.is("failed");
    expect(web.starts.length).toBe(1);
    expect(web.status.reason).toMatch(/insecure: .*anybody may write it$/);
    close(box.sysdir);
    await web.command("up");
    await web.runningAfter(pid);
  },
  have.root,
);

scenario(
  "a directory above SYSDIR that anybody may write is fine if it has the sticky bit",
  async (box) => {
    const web = box.declare("web");
    makeDirectory(`${box.dir}/above/sys`);
    chmodSync(`${box.dir}/above`, 0o1777);
    place(`${box.dir}/above/sys/web`, web.script(), 0o755);
    await box.start({ args: ["-d", `${box.dir}/above/sys`] });
    await web.running();
  },
  have.root,
);

scenario(
  "a link of another user on SYSDIR's path is not followed",
  async (box) => {
    const web = box.service("web");
    link(box.sysdir, `${box.dir}/alias`);
    give(`${box.dir}/alias`);
    const sysmgr = await box.start({ args: ["-d", `${box.dir}/alias`] });
    await sysmgr.says(/cannot read SYSDIR: insecure: /);
    expect(web.starts).toEqual([]);
  },
  have.root,
);

scenario(
  "a link on SYSDIR's path in a directory that anybody may write is not followed",
  async (box) => {
    const web = box.service("web");
    makeDirectory(`${box.dir}/open`, 0o777);
    link(box.sysdir, `${box.dir}/open/alias`);
    const sysmgr = await box.start({ args: ["-d", `${box.dir}/open/alias`] });
    await sysmgr.says(/cannot read SYSDIR: insecure: /);
    expect(web.starts).toEqual([]);
  },
  have.root,
);

for (const [what, spoil] of [
  ["others may write in", (path: string) => chmodSync(path, 0o777)],
  ["its group may write in", (path: string) => chmodSync(path, 0o775)],
  ["others may write in, with the sticky bit", (path: string) => chmodSync(path, 0o1777)],
  ["belongs to another user", give],
] as const) {
  scenario(
    `a RUNDIR that ${what} is refused: one line, exit 1`,
    async (box) => {
      const web = box.service("web");
      makeDirectory(box.rundir);
      spoil(box.rundir);
      const { code, out, err } = await box.run(["sysmgr"]);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toMatch(/^sysmgr: cannot use .*\n$/);
      expect(web.starts).toEqual([]);
    },
    have.root,
  );
}

scenario(
  "a status of another user is not believed",
  async (box) => {
    const web = box.service("web");
    const first = await box.start();
    const pid = await web.running();
    await first.crash();
    give(web.file("status"));
    await box.start();
    await web.runningAfter(pid);
    process.kill(pid, "SIGKILL");
  },
  have.root,
);
