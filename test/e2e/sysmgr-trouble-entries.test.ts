/** Entries of SYSDIR that cannot run, or have unusual names; the others never mind. */
import { expect } from "bun:test";
import { chmodSync, closeSync, openSync } from "node:fs";
import {
  exists,
  link,
  list,
  makeDirectory,
  raw,
  read,
  remove,
  rename,
  write,
} from "../lib/files.ts";
import { environmentWith } from "../lib/processes.ts";
import { Sandbox } from "../lib/sandbox.ts";
import { patientScenario, scenario } from "../lib/scenario.ts";
import type { Service } from "../lib/service.ts";
import type { Supervisor } from "../lib/supervisor.ts";
import { until } from "../lib/until.ts";

/** What must make no difference to a service beside it. */
async function besideAnother(
  box: Sandbox,
  story: (sysmgr: Supervisor) => Promise<void>,
): Promise<void> {
  const other = box.service("other");
  const sysmgr = await box.start();
  const pid = await other.running();
  await story(sysmgr);
  await other.is("up");
  expect(other.pid).toBe(pid);
  expect(other.starts.length).toBe(1);
}

/** An entry that cannot run, why not, and what makes it right. */
type Trouble = {
  readonly what: string;
  readonly reason: string;
  /** At a path with a hidden name, to appear in one step. */
  readonly make: (path: string, web: Service) => void;
  readonly mend: (web: Service) => void;
};

const install = (web: Service) => void web.install();
const replace = (web: Service) => {
  remove(web.entry);
  web.install();
};

const troubles: Trouble[] = [
  {
    what: "a file that is not executable",
    reason: "not executable",
    make: (path, web) => write(path, web.script(), 0o644),
    mend: (web) => chmodSync(raw(web.entry), 0o755),
  },
  {
    what: "a dangling link",
    reason: "dangling link",
    make: (path) => link("/no/such/file", path),
    mend: install,
  },
  {
    what: "a link to itself",
    reason: "Too many levels of symbolic links",
    make: (path) => link("web", path),
    mend: install,
  },
  {
    what: "a script whose interpreter is missing",
    reason: "no interpreter /no/such/sh",
    make: (path) => write(path, "#! /no/such/sh -e\n", 0o755),
    mend: install,
  },
  {
    what: "a script with CRLF behind its interpreter",
    reason: "no interpreter /bin/sh\\x0d",
    make: (path) => write(path, "#!/bin/sh\r\nexec sleep 3600\r\n", 0o755),
    mend: install,
  },
  {
    what: "a directory without run",
    reason: "a directory without run",
    make: (path) => makeDirectory(path),
    mend: (web) => write(`${web.entry}/run`, web.script(), 0o755),
  },
  {
    what: "a directory whose run is not executable",
    reason: "run is not executable",
    make: (path, web) => {
      makeDirectory(path);
      write(`${path}/run`, web.script(), 0o644);
    },
    mend: (web) => chmodSync(raw(`${web.entry}/run`), 0o755),
  },
  {
    what: "a directory whose run is a directory",
    reason: "run is not a file",
    make: (path) => makeDirectory(`${path}/run`),
    mend: replace,
  },
  {
    what: "a FIFO",
    reason: "neither a file nor a directory",
    make: (path) => void Bun.spawnSync(["mkfifo", "-m", "755", path]),
    mend: replace,
  },
];

for (const { what, reason, make, mend } of troubles) {
  scenario(`${what}: says so once, starts it once it is right`, async (box) => {
    await besideAnother(box, async (sysmgr) => {
      const web = box.declare("web");
      make(`${box.sysdir}/.made`, web);
      rename(`${box.sysdir}/.made`, web.entry);
      await web.is("failed");
      expect(web.status.reason).toBe(reason);
      for (const _ of [1, 2, 3]) await sysmgr.answers();
      const lines = sysmgr.messages.split("\n").filter((l) => l.includes("cannot start"));
      expect(lines).toEqual([`sysmgr: web: cannot start: ${reason}`]);
      expect(web.starts).toEqual([]);
      mend(web);
      await web.running();
      expect(web.status.reason).toBeUndefined();
    });
  });
}

scenario("trouble that comes back after it was mended is said again", async (box) => {
  await besideAnother(box, async (sysmgr) => {
    const web = box.declare("web").install(undefined, 0o644);
    await web.is("failed");
    web.install();
    await web.running();
    chmodSync(raw(web.entry), 0o644);
    await web.command("restart");
    await web.is("failed");
    await until(() => sysmgr.count(/web: cannot start: not executable/) === 2, "said again");
  });
});

scenario("a stop marker on what cannot run, and a command to it, are obeyed", async (box) => {
  await besideAnother(box, async () => {
    const web = box.declare("web").install(undefined, 0o644);
    await web.is("failed");
    await web.command("down");
    await web.is("down");
    await web.command("up");
    await web.is("failed");
    web.mark();
    await web.is("down");
    web.install();
    web.unmark();
    await web.running();
  });
});

scenario("an empty executable is run by sh, which ends at once: a short life", async (box) => {
  await besideAnother(box, async () => {
    const web = box.declare("web");
    write(web.entry, "", 0o755);
    // It may still be open for writing at the first start.
    await until(() => web.status.exit, "a life");
    await web.is("backoff");
    expect(web.status.exit).toBe("0");
  });
});

scenario("a thousand entries that cannot run do no harm", async (box) => {
  for (let i = 0; i < 1000; i++) write(`${box.sysdir}/bad${i}`, "", 0o644);
  await besideAnother(box, async (sysmgr) => {
    await until(() => sysmgr.count(/cannot start: not executable/) === 1000, "all are said");
    await sysmgr.answers();
    expect(sysmgr.count(/cannot start: not executable/)).toBe(1000);
  });
});

/** Since Linux 6.11, and until it was taken back, a file open for writing could be executed. */
async function refusesBusyText(): Promise<boolean> {
  const box = new Sandbox();
  const path = `${box.dir}/true`;
  write(path, read("/bin/true") ?? "", 0o755);
  const fd = openSync(path, "a");
  try {
    return Bun.spawnSync([path]).exitCode !== 0;
  } catch {
    return true;
  } finally {
    closeSync(fd);
    await box.remove();
  }
}

const hasBusyText = await refusesBusyText();

patientScenario(
  "a file that is being written is tried again until it is not",
  async (box) => {
    await besideAnother(box, async (sysmgr) => {
      const web = box.declare("web");
      write(`${box.sysdir}/.web`, web.script(), 0o755);
      const fd = openSync(`${box.sysdir}/.web`, "a");
      rename(`${box.sysdir}/.web`, web.entry);
      await web.is("backoff");
      expect(web.status.reason).toBe("Text file busy");
      await sysmgr.says(/web: cannot start: Text file busy/);
      closeSync(fd);
      await web.running();
      expect(web.starts.length).toBe(1);
    });
  },
  hasBusyText,
);

scenario(
  "a file that is busy for long is said to be so once",
  async (box) => {
    await besideAnother(box, async (sysmgr) => {
      const web = box.declare("web").install();
      const pid = await web.running();
      const fd = openSync(web.entry, "a");
      await web.command("restart");
      await web.is("backoff");
      const { next } = web.status;
      await until(() => web.status.next !== next, "tried twice");
      expect(sysmgr.count(/Text file busy/)).toBe(1);
      closeSync(fd);
      await web.runningAfter(pid);
    });
  },
  hasBusyText,
);

const names = [
  "two words",
  " ",
  "new\nline",
  "-d",
  "--help",
  "x".repeat(255),
  "\xff\xfe\x80",
  "caf\xc3\xa9",
  "$(id); `id`",
  "*?[a]",
  "'\"\\",
  "\x01\x1b[31m\x7f",
  "a=b",
  "lock",
  "status",
  "control",
  "status=up",
  "__proto__",
  "constructor",
];

for (const name of names) {
  const shown = JSON.stringify(name.length > 20 ? `${name.slice(0, 5)}... (${name.length})` : name);
  patientScenario(`a service may be called ${shown}`, async (box) => {
    await besideAnother(box, async (sysmgr) => {
      const odd = box.service(name);
      const pid = await odd.running();
      await environmentWith(pid, `SYSMGR_SERVICE=${name}`);
      await odd.command("restart");
      const next = await odd.runningAfter(pid);
      odd.mark();
      await odd.is("down");
      odd.unmark();
      await odd.runningAfter(next);
      const last = odd.pid;
      await sysmgr.crash();
      await box.start();
      expect(odd.pid).toBe(last);
      odd.uninstall();
      await box.gone(odd);
    });
  });
}

scenario("the names pid and those with a dot are refused", async (box) => {
  await besideAnother(box, async (sysmgr) => {
    const reserved = box.service("pid");
    const dotted = box.service(".pipe");
    await sysmgr.says(/sysmgr: pid: cannot start: the name is reserved/);
    for (const _ of [1, 2, 3]) await sysmgr.answers();
    expect(sysmgr.count(/reserved/)).toBe(1);
    expect([...reserved.starts, ...dotted.starts]).toEqual([]);
    expect(read(`${box.rundir}/pid`)).toBe(`${sysmgr.pid}\n`);
    // A file may be on its way at this moment.
    const files = list(box.rundir).filter((file) => !file.startsWith(".new."));
    expect(files.sort()).toEqual([".control", ".lock", "other", "pid"]);
    expect(exists(`${box.rundir}/pid`)).toBeTrue();
  });
});
