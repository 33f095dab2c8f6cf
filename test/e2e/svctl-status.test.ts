/** The lines of svctl status, for scripts and for people. */
import { expect } from "bun:test";
import { longBackoff } from "../lib/backoff.ts";
import { BLIND, onTerminal, shell } from "../lib/clients.ts";
import { begin } from "../lib/depends.ts";
import { kill } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";

const AGE = String.raw`\d+(\.\d)? (ms|s|min|h|d)`;

/** The whole line, `AGE` standing for any. */
async function statusIs(box: Sandbox, line: string, ...args: string[]): Promise<void> {
  const { out, err } = await box.run(["svctl", "status", ...args]);
  expect({ out, err }).toEqual({ out: expect.stringMatching(pattern(line)), err: "" });
}

function pattern(line: string): RegExp {
  const literal = line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("AGE", AGE)}\n$`);
}

for (const word of ["status", "stat"]) {
  scenario(`${word} of what runs: UP, its pid and age; exit 0`, async (box) => {
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    await web.is("up");
    const { code, out, err } = await box.run(["svctl", word, "web"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(pattern(`web: UP, pid ${pid}, AGE`));
  });
}

scenario("what is stopped: DOWN, since when, how it ended; exit 1", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  expect((await box.run(["svctl", "status", "web"])).code).toBe(1);
  await statusIs(box, "web: DOWN, stopped, AGE, ended by signal TERM", "web");
});

scenario("status without names tells of all, sorted; exit 1 if one is DOWN", async (box) => {
  const names = ["web", "a", "Z", "b.c", "10", "9"];
  const services = names.map((name) => box.service(name));
  await box.start();
  for (const s of services) await s.running();
  const all = await box.run(["svctl", "status"]);
  expect({ code: all.code, err: all.err }).toEqual({ code: 0, err: "" });
  const shown = (text: string) => text.match(/^.*(?=: (UP|DOWN))/gm);
  expect(shown(all.out)).toEqual(["10", "9", "Z", "a", "b.c", "web"]);
  const [web] = services;
  web?.mark();
  await web?.is("down");
  const { code, out } = await box.run(["svctl", "status"]);
  expect(code).toBe(1);
  expect(out.match(/: (UP|DOWN)/g)?.join("")).toBe(`${": UP".repeat(5)}: DOWN`);
  expect(shown((await box.run(["svctl", "status", "web", "a", "9"])).out)).toEqual([
    "web",
    "a",
    "9",
  ]);
  expect((await box.run(["svctl", "status", "a", "9"])).code).toBe(0);
});

scenario("status of nothing is nothing; exit 0", async (box) => {
  await box.start();
  expect(await box.run(["svctl", "status"])).toEqual({ code: 0, out: "", err: "" });
  const json = await box.run(["svctl", "status", "--json"]);
  expect({ ...json, out: JSON.parse(json.out) }).toEqual({ code: 0, out: [], err: "" });
});

scenario("-q status prints nothing; its exit status tells", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  expect(await box.run(["svctl", "-q", "status"])).toEqual({ code: 0, out: "", err: "" });
  web.mark();
  await web.is("down");
  expect(await box.run(["svctl", "status", "-q", "web"])).toEqual({ code: 1, out: "", err: "" });
});

scenario("what waits: UP, starting, and for what", async (box) => {
  const db = box.service("db");
  const web = box.service("web", `${BIN}/sysmgr-depends db mail\nexec sleep 3600`);
  const mail = box.service("mail");
  const sysmgr = await box.start();
  await box.run(["svctl", "stop", "db", "mail"]);
  await web.running();
  await web.command("down");
  await web.is("down");
  await begin(sysmgr, [web]);
  await statusIs(
    box,
    `web: UP, pid ${web.pid}, AGE, starting, waiting for db mail, ${web.status.runs} runs, last ended by signal TERM`,
    "web",
  );
  expect((await box.run(["svctl", "status", "web"])).code).toBe(0);
  await box.run(["svctl", "start", "db", "mail"]);
  await web.is("up");
  await statusIs(
    box,
    `web: UP, pid ${web.pid}, AGE, ${web.status.runs} runs, last ended by signal TERM`,
    "web",
  );
  await db.running();
  await mail.running();
});

scenario("what is being stopped: UP, stopping", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await web.command("down");
  await statusIs(box, `web: UP, pid ${pid}, AGE, stopping`, "web");
  await web.command("kill");
});

scenario("what fails: DOWN, how it ended, and when it is started next", async (box) => {
  const web = box.service("web", "exit 3");
  await longBackoff(box, web);
  await statusIs(box, "web: DOWN, AGE, 2 runs, exited with 3, next start in AGE", "web");
  expect((await box.run(["svctl", "status", "web"])).code).toBe(1);
});

scenario("what cannot start: DOWN, and why", async (box) => {
  const web = box.declare("web").install("", 0o644);
  const db = box.declare("db");
  await box.run(["mkdir", db.entry]);
  await box.start();
  await web.is("failed");
  await db.is("failed");
  await statusIs(box, "web: DOWN, cannot start: not executable", "web");
  await statusIs(box, "db: DOWN, cannot start: a directory without run", "db");
});

scenario("what runs once: UP, once; afterwards DOWN, ran once", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  await web.is("up");
  await box.run(["svctl", "once", "web"]);
  await statusIs(box, `web: UP, pid ${pid}, AGE, once`, "web");
  kill(pid, "SIGINT");
  await web.is("down");
  await statusIs(box, "web: DOWN, ran once, AGE, ended by signal INT", "web");
});

patientScenario("what ended behind sysmgr's back: nobody can tell how", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.aged(1000);
  await web.is("up");
  await sysmgr.crash();
  kill(pid, "SIGKILL");
  await box.start();
  const next = await web.runningAfter(pid);
  await web.is("up");
  const text = `web: UP, pid ${next}, AGE, 2 runs, last ended (exit status unknown)`;
  await statusIs(box, text, "web");
});

scenario("bytes in names that are not for eyes are shown as \\xNN", async (box) => {
  const odd = box.service("a\nb\x1b[31m\\\x7f");
  await box.start();
  await odd.running();
  await odd.is("up");
  await statusIs(box, `a\\x0ab\\x1b[31m\\x5c\\x7f: UP, pid ${odd.pid}, AGE`);
});

scenario("a name that is not UTF-8 is printed as it is", async (box) => {
  const odd = box.service("w\xff\xc3b");
  await box.start();
  await odd.running();
  const { out } = await shell(box, `svctl -r ${box.rundir} -d ${box.sysdir} status`);
  expect(out).toStartWith(`w\xff\xc3b: UP, pid ${odd.pid}, `);
});

scenario("off a terminal there is neither alignment nor colour", async (box) => {
  const services = ["a", "a-long-name"].map((name) => box.service(name));
  await box.start();
  for (const s of services) await s.running();
  const { out } = await box.run(["svctl", "status"], { env: { TERM: "xterm", FORCE_COLOR: "1" } });
  expect(out).toMatch(/^a: UP, pid \d+, .*\na-long-name: UP, pid \d+, .*\n$/);
  expect(out).not.toContain("\x1b");
});

/** UP in green, DOWN in red, and in yellow what is meant to be down. */
async function threeColours(box: Sandbox): Promise<void> {
  const services = ["a", "stopped", "a-long-name"].map((name) => box.service(name));
  const bad = box.declare("bad").install("", 0o644);
  await box.start();
  for (const s of services) await s.is("up");
  services[1]?.mark();
  await services[1]?.is("down");
  await bad.is("failed");
}

scenario("on a terminal the lines are aligned and coloured", async (box) => {
  await threeColours(box);
  const { code, shown } = await onTerminal(box, ["svctl", "status"]);
  expect(code).toBe(1);
  const lines = shown.split("\n");
  expect(lines.length).toBe(5);
  expect(lines[0]).toStartWith("a:           \x1b[32mUP\x1b[0m, pid ");
  expect(lines[1]).toStartWith("a-long-name: \x1b[32mUP\x1b[0m, pid ");
  expect(lines[2]).toStartWith("bad:         \x1b[31mDOWN\x1b[0m, cannot start: ");
  expect(lines[3]).toStartWith("stopped:     \x1b[33mDOWN\x1b[0m, stopped, ");
});

scenario("what a terminal shows is aligned by what is seen, not by bytes", async (box) => {
  const services = ["bücher", "a\nb", "zz"].map((name) =>
    box.service(Buffer.from(name, "utf8").toString("latin1")),
  );
  await box.start();
  for (const s of services) await s.running();
  const { shown } = await onTerminal(box, ["svctl", "status"], { NO_COLOR: "1" });
  const lines = Buffer.from(shown, "latin1").toString("utf8").split("\n");
  expect(lines.slice(0, 3).map((line) => line.indexOf("UP"))).toEqual([8, 8, 8]);
});

scenario("NO_COLOR keeps the alignment; an empty one does not count", async (box) => {
  await threeColours(box);
  const plain = await onTerminal(box, ["svctl", "status"], { NO_COLOR: "1" });
  expect(plain.shown).not.toContain("\x1b");
  expect(plain.shown).toContain("\nstopped:     DOWN, stopped, ");
  const coloured = await onTerminal(box, ["svctl", "status"], { NO_COLOR: "" });
  expect(coloured.shown).toContain("\x1b[32m");
});

scenario("--json is the same on a terminal, without colours", async (box) => {
  await threeColours(box);
  const { shown } = await onTerminal(box, ["svctl", "status", "--json"]);
  const piped = await box.run(["svctl", "status", "--json"]);
  expect(JSON.parse(shown)).toEqual(JSON.parse(piped.out));
});

scenario("operations show the new status on a terminal, too", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  const { code, shown } = await onTerminal(box, ["svctl", "stop", "web"]);
  expect(code).toBe(0);
  // In front of it is what it waited for, if that took long.
  expect(shown).toContain("web: \x1b[33mDOWN\x1b[0m, stopped, ");
});

scenario("status of three hundred services, read slowly, is complete", async (box) => {
  const names = Array.from({ length: 300 }, (_, i) => `${"s".repeat(200)}${1000 + i}`);
  const services = names.map((name) => box.declare(name).install("", 0o644));
  await box.start({ args: ["-q"] });
  for (const s of services) await s.is("failed");
  // A pipe holds 64 KiB: the reader begins when svctl has to wait for it.
  const reader = `{ svctl "$@"; echo $? >&2; } | { read -r line; echo "$line"; cat; }`;
  const script = `set -- -r ${box.rundir} -d ${box.sysdir} status\n${reader}`;
  const { out, err } = await shell(box, script);
  expect([...(out.match(/^s+\d+(?=: DOWN, cannot start: not executable$)/gm) ?? [])]).toEqual(
    names,
  );
  expect(err).toBe("1\n");
});

scenario("a reader that goes away ends it quietly", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  const script = `svctl -r ${box.rundir} -d ${box.sysdir} status | :`;
  expect(await shell(box, script)).toEqual({ code: 0, out: "", err: "" });
});

scenario(
  "status needs no inotify instance",
  async (box) => {
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    const { code, out } = await box.run(["svctl", "status"], { wrapper: BLIND });
    expect(code).toBe(0);
    expect(out).toStartWith(`web: UP, pid ${pid}, `);
  },
  have.userns,
);

scenario("a status that is garbage is as good as none", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  const pid = await web.running();
  for (const s of [web, db]) await s.is("up");
  for (const text of ["", "\0\xff\n=\n==\nstate=up\n", "state=up\nwanted=up\nruns=-1\nsince=x\n"]) {
    await Bun.write(db.file("status"), Buffer.from(text, "latin1"));
    const { code, out, err } = await box.run(["svctl", "status"]);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out).toMatch(
      new RegExp(`^db: UNKNOWN, its status cannot be read\nweb: UP, pid ${pid}, .*\n$`),
    );
  }
});
