/** svctl status --json: every field of the status file, for programs. */
import { expect } from "bun:test";
import { longBackoff } from "../lib/backoff.ts";
import { shell } from "../lib/clients.ts";
import { exists } from "../lib/files.ts";
import { kill } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import type { Service } from "../lib/service.ts";
import { until } from "../lib/until.ts";

type Json = Record<string, unknown>;

/** The objects, from bytes that must be UTF-8. */
async function jsonOf(box: Sandbox, ...names: string[]): Promise<Json[]> {
  const args = ["-r", box.rundir, "-d", box.sysdir, "status", "--json", ...names];
  const { out } = await shell(box, `svctl ${args.join(" ")}`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(out, "latin1"));
  return JSON.parse(text) as Json[];
}

/** What the object for a service must be, by its status file. */
function told(service: Service): Json {
  const { status } = service;
  const number = (key: string) => (status[key] === undefined ? null : Number(status[key]));
  const code = /^\d+$/.test(status.exit ?? "") ? Number(status.exit) : null;
  return {
    name: service.name,
    up: status.pid !== undefined,
    state: status.state,
    wanted: status.wanted,
    pid: number("pid"),
    start: number("start"),
    finish: number("finish"),
    finish_start: number("finish-start"),
    boot: status.boot,
    pidns: status.pidns,
    since: number("since"),
    first: number("first"),
    ready: number("ready"),
    waited: number("waited") ?? 0,
    runs: number("runs"),
    short: number("short") ?? 0,
    exit: code,
    signal: null,
    exit_unknown: false,
    next: number("next"),
    reason: status.reason ?? null,
    logger: status.logger === "yes" ? `${service.name}/log` : null,
    waiting: [],
  };
}

scenario("the object of what runs holds every field of its status file", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.is("up");
  expect(await jsonOf(box, "web")).toEqual([told(web)]);
});

scenario("so does that of what is stopped", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  expect(await jsonOf(box)).toEqual([{ ...told(web), signal: 15 }]);
});

scenario("and of what fails", async (box) => {
  const web = box.service("web", "exit 3");
  await longBackoff(box, web);
  const [object] = await jsonOf(box);
  expect(object).toEqual({ ...told(web), exit: 3, short: 61, next: expect.any(Number) });
  expect(Number(object?.next)).toBeGreaterThan(Number(object?.since));
});

scenario("and of what cannot start, and of what is wanted once", async (box) => {
  const bad = box.declare("bad").install("", 0o644);
  const web = box.service("web");
  await box.start();
  await bad.is("failed");
  await web.is("up");
  web.mark("once");
  await until(() => web.status.wanted === "once", "web is wanted once");
  const objects = await jsonOf(box);
  expect(objects).toEqual([told(bad), told(web)]);
  expect(objects[0]).toMatchObject({ up: false, state: "failed", reason: "not executable" });
  expect(objects[1]).toMatchObject({ up: true, wanted: "once" });
});

scenario("an exit that nobody could see is unknown", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  web.mark("once");
  await until(() => web.status.wanted === "once", "web is wanted once");
  await sysmgr.crash();
  kill(pid, "SIGKILL");
  await box.start();
  await web.is("down");
  expect(await jsonOf(box)).toEqual([{ ...told(web), exit_unknown: true }]);
});

scenario("what sysmgr has not seen yet is null", async (box) => {
  const sysmgr = await box.start();
  sysmgr.signal("SIGSTOP");
  box.service("web");
  const [object] = await jsonOf(box);
  expect(object).toMatchObject({ name: "web", up: false, waiting: [] });
  const keys = ["state", "wanted", "pid", "start", "since", "runs", "exit", "next", "reason"];
  expect(keys.map((key) => object?.[key])).toEqual(keys.map(() => null));
  sysmgr.signal("SIGCONT");
});

scenario("waiting names what a service waits for", async (box) => {
  const db = box.service("db");
  const odd = box.service('"a\nb"');
  await box.start();
  await db.running();
  await odd.running();
  db.mark();
  odd.mark();
  await db.is("down");
  await odd.is("down");
  const web = box.service("web", `${BIN}/sysmgr-depends db '"a\nb"'\nexec sleep 3600`);
  const waiting = async () => (await jsonOf(box, "web"))[0]?.waiting;
  let found: unknown = [];
  await web.running();
  while ((found as string[]).length === 0) found = await waiting();
  expect(found).toEqual(["db", '"a\\x0ab"']);
  db.unmark();
  odd.unmark();
  await web.is("up");
  await until(() => !exists(web.file("waiting")), "it waits no more");
  expect(await waiting()).toEqual([]);
});

scenario("it is an array of one object per line, so that grep works, too", async (box) => {
  for (const name of ["a", "b", "c"]) box.service(name);
  await box.start();
  await Promise.all(["a", "b", "c"].map((name) => box.declare(name).is("up")));
  const { out } = await box.run(["svctl", "status", "--json"]);
  const lines = out.trimEnd().split("\n");
  expect(lines.length).toBe(3);
  const objects = lines.map((line) => JSON.parse(line.replace(/^\[/, "").replace(/[,\]]$/, "")));
  expect(objects.map((o) => o.name)).toEqual(["a", "b", "c"]);
  expect(out).toStartWith("[");
  expect(out).toEndWith("]\n");
});

for (const [what, name, shown] of [
  ["a newline, quotes and a backslash", '"\n\t\\', '"\\x0a\\x09\\x5c'],
  ["UTF-8", "b\xc3\xbccher \xe2\x82\xac \xf0\x9f\x90\xb1", "bücher € 🐱"],
  ["bytes that are no UTF-8", "w\xff\xc3b", "w\\xff\\xc3b"],
  ["half a character at its end", "w\xe2\x82", "w\\xe2\\x82"],
  ["C1 controls", "w\xc2\x9b31m", "w\u009b31m"],
  ["255 bytes, no one of UTF-8", "\xff".repeat(255), "\\xff".repeat(255)],
  ["255 control bytes", "\x01".repeat(255), "\\x01".repeat(255)],
] as const) {
  scenario(`a name of ${what} gives valid JSON`, async (box) => {
    const odd = box.service(name);
    await box.start();
    const pid = await odd.running();
    const [object] = await jsonOf(box);
    expect(object).toMatchObject({ name: shown, up: true, pid });
  });
}

scenario("a reason of any bytes gives valid JSON", async (box) => {
  const web = box.declare("web");
  await box.run(["sh", "-c", `printf '#!/\\377\\n' >"$0" && chmod 755 "$0"`, web.entry]);
  await box.start();
  await web.is("failed");
  const [object] = await jsonOf(box);
  expect(object).toMatchObject({ up: false, pid: null });
  expect(object?.reason).toContain("/\\xff");
});

scenario("the exit status is that of the lines", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  expect((await box.run(["svctl", "--json", "status"])).code).toBe(0);
  web.mark();
  await web.is("down");
  expect((await box.run(["svctl", "--json", "status"])).code).toBe(1);
  const unknown = await box.run(["svctl", "status", "--json", "nosuch"]);
  expect(unknown).toMatchObject({ code: 1, err: "svctl: nosuch: no such service\n" });
  expect(JSON.parse(unknown.out)).toEqual([]);
});
