/** The file protocol needs no program of ours: a client in sh, with touch, rm, cat and test. */
import { expect } from "bun:test";
import { shell } from "../lib/clients.ts";
import { exists, link, makeDirectory, read } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import type { Outcome, Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { type Service, trapping } from "../lib/service.ts";

/** Written from sysmgr(7), in POSIX sh. RUNDIR is in the environment, or asked for. */
const CLIENT = `
set -u

supervised() {
    [ -f "$RUNDIR/pid" ] && [ -d "/proc/$(cat "$RUNDIR/pid")" ] && return
    echo "no sysmgr on $RUNDIR" >&2
    exit 1
}

# value NAME KEY: one line of its status, if there is that key
value() {
    while IFS= read -r line; do
        case $line in "$2="*) echo "\${line#*=}" ;; esac
    done 2>/dev/null <"$RUNDIR/$1/status"
}

# wait_for NAME KEY VALUE...: until it is one of them
wait_for() {
    wait_name=$1 wait_key=$2
    shift 2
    while :; do
        found=$(value "$wait_name" "$wait_key")
        for wish; do [ "$found" = "$wish" ] && return; done
        sleep 0.1
    done
}

# request NAME WORD: returns when it was acted on
request() {
    touch "$RUNDIR/$1/control/$2"
    while [ -e "$RUNDIR/$1/control/$2" ] || [ -e "$RUNDIR/$1/control/.$2" ]; do sleep 0.1; done
}

stop() { touch "$RUNDIR/$1/lock" && wait_for "$1" state down && [ ! -e "$RUNDIR/$1/pid" ]; }
start() { rm -f "$RUNDIR/$1/lock" && wait_for "$1" state up && [ -s "$RUNDIR/$1/pid" ]; }
once() { echo once >"$RUNDIR/$1/lock" && wait_for "$1" wanted once; }
restart() {
    runs=$(value "$1" runs)
    request "$1" restart
    while [ "$(value "$1" runs)" -eq "$runs" ]; do sleep 0.1; done
    wait_for "$1" state up
}

list() {
    for dir in "$RUNDIR"/*/; do
        name=\${dir%/} name=\${name##*/}
        [ -e "$dir/status" ] && echo "$name: $(value "$name" state)"
    done
}

supervised
`;

const shells = [
  ["dash", Bun.which("dash")],
  ["busybox sh", Bun.which("busybox")],
  ["sh", "/bin/sh"],
] as const;

/** Runs lines after the client; only the tools that it is made of can be found. */
async function client(box: Sandbox, lines: string, kind = "sh"): Promise<Outcome> {
  const tools = `${box.dir}/tools`;
  if (!exists(tools)) {
    makeDirectory(tools);
    for (const tool of ["touch", "rm", "cat", "sleep"])
      link(Bun.which(tool) ?? "", `${tools}/${tool}`);
    link(Bun.which("busybox") ?? "/bin/sh", `${tools}/sh`);
  }
  const found = shells.find(([name]) => name === kind)?.[1] ?? "sh";
  const interpreter = kind === "busybox sh" ? `${tools}/sh` : found;
  return await shell(box, CLIENT + lines, {
    interpreter,
    env: { PATH: tools, RUNDIR: box.rundir },
  });
}

const DONE: Outcome = { code: 0, out: "", err: "" };

for (const [kind, path] of shells) {
  scenario(
    `${kind} stops and starts a service with touch and rm`,
    async (box) => {
      const [web, other] = [box.service("web"), box.service("other")];
      await box.start();
      const pid = await web.running();
      const untouched = await other.running();
      expect(await client(box, "stop web", kind)).toEqual(DONE);
      expect([web.status.state, lives(pid), web.pid]).toEqual(["down", false, null]);
      expect(await client(box, "start web", kind)).toEqual(DONE);
      expect([web.status.state, lives(web.pid ?? 0)]).toEqual(["up", true]);
      expect(web.pid).not.toBe(pid);
      expect(other.pid).toBe(untouched);
    },
    path !== null,
  );

  scenario(
    `${kind} restarts a service, and waits for the answer`,
    async (box) => {
      const web = box.service("web");
      await box.start();
      const pid = await web.running();
      expect(await client(box, "restart web && restart web", kind)).toEqual(DONE);
      expect(web.status).toMatchObject({ state: "up", runs: "3", exit: "signal TERM" });
      expect([lives(pid), lives(web.pid ?? 0), web.box]).toEqual([false, true, []]);
    },
    path !== null,
  );
}

scenario("once with echo: it runs on, and is not started again", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const kill = `kill "$(cat "$RUNDIR/web/pid")"; wait_for web state down`;
  expect(await client(box, `once web; [ -s "$RUNDIR/web/pid" ] || exit 9; ${kill}`)).toEqual(DONE);
  expect([web.starts, web.status.wanted]).toEqual([[pid], "once"]);
  expect(await client(box, `request web once; wait_for web runs 2; wait_for web state up`)).toEqual(
    DONE,
  );
  await web.running();
  expect(await client(box, kill)).toEqual(DONE);
  expect([web.starts.length, read(web.file("lock"))]).toEqual([2, "once\n"]);
  expect(await client(box, "start web")).toEqual(DONE);
});

scenario("every request is answered", async (box) => {
  const web = box.service("web", trapping("HUP", "ALRM", "INT", "QUIT", "TERM", "USR1", "USR2"));
  await box.start();
  await web.traced("ready");
  const pid = await web.running();
  const words = ["hup", "alarm", "int", "quit", "term", "usr1", "usr2", "pause", "cont", "up"];
  const all = words.map((word) => `request web ${word}`).join("\n");
  expect(await client(box, all)).toEqual(DONE);
  for (const name of ["HUP", "ALRM", "INT", "QUIT", "TERM", "USR1", "USR2"]) await web.traced(name);
  expect([web.pid, web.status.runs]).toEqual([pid, "1"]);
  const down = "request web down; request web kill; wait_for web state down";
  expect(await client(box, down)).toEqual(DONE);
  expect(web.status).toMatchObject({ wanted: "down", exit: "signal KILL" });
});

scenario("a marker with the name of a signal stops with that", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  const lines = 'echo INT >"$RUNDIR/web/lock"; wait_for web state down; value web exit';
  expect(await client(box, lines)).toEqual({ code: 0, out: "signal INT\n", err: "" });
});

scenario("a person's kill is answered with a new process", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.aged(1000);
  const lines = 'kill -9 "$(cat "$RUNDIR/web/pid")"; wait_for web runs 2; wait_for web state up';
  expect(await client(box, lines)).toEqual(DONE);
  await web.running();
  expect(web.starts.length).toBe(2);
});

scenario("it can list all services and their states", async (box) => {
  const web = box.service("web");
  const db = box.declare("db").installDirectory("exit 1", {}, { "restart-delay": "3600" });
  const bad = box.declare("bad").install("", 0o644);
  await box.start();
  await web.is("up");
  await bad.is("failed");
  await db.is("backoff");
  const { code, out, err } = await client(box, "list; value bad reason");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe("bad: failed\ndb: backoff\nweb: up\nnot executable\n");
});

for (const [what, name] of [
  ["blanks, quotes and shell words", ` a "b" $(id) ;*`],
  ["a newline", "a\nb"],
  ["a leading dash", "-rf"],
  ["bytes that are no UTF-8", "w\xff\xc3b"],
  ["255 bytes", "n".repeat(255)],
] as const) {
  scenario(`a name of ${what} is no harder`, async (box) => {
    const odd = box.service(name);
    await box.start();
    const pid = await odd.running();
    const lines = `name='${name}'; stop "$name" && start "$name" && restart "$name"`;
    expect(await client(box, lines)).toEqual(DONE);
    expect(odd.status).toMatchObject({ state: "up", runs: "3" });
    expect([lives(pid), lives(odd.pid ?? 0)]).toEqual([false, true]);
  });
}

scenario("clients in sh and svctl get on with one another", async (box) => {
  const names = ["a", "b", "c", "d", "e"];
  const services = names.map((name) => box.service(name, "trap '' HUP\nexec sleep 3600"));
  await box.start();
  for (const s of services) await s.running();
  const calls = names.flatMap((name) => [
    client(box, `stop ${name} && start ${name} && restart ${name}`),
    box.run(["svctl", "-q", "hup", ...names.filter((other) => other > name)]),
  ]);
  const ofShells = (await Promise.all(calls)).filter((_, i) => i % 2 === 0);
  expect(ofShells).toEqual(names.map(() => DONE));
  for (const s of services) await s.running();
  expect((await box.run(["svctl", "status"])).code).toBe(0);
});

scenario("svctl shows what a client in sh has done, and the other way round", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  await client(box, "stop web");
  expect((await box.run(["svctl", "status", "web"])).out).toStartWith("web: DOWN, stopped, ");
  await box.run(["svctl", "start", "web"]);
  expect((await client(box, "wait_for web state up; value web wanted")).out).toBe("up\n");
});

scenario("it sees whether a sysmgr works there", async (box) => {
  const web = box.service("web");
  makeDirectory(box.rundir);
  const none = { code: 1, out: "", err: `no sysmgr on ${box.rundir}\n` };
  expect(await client(box, "stop web")).toEqual(none);
  const sysmgr = await box.start();
  await web.running();
  await sysmgr.crash();
  expect(await client(box, "stop web")).toEqual(none);
  await box.start();
  expect(await client(box, "stop web")).toEqual(DONE);
});

scenario("it can end all, with an exit status", async (box) => {
  const web: Service = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  const lines = `echo 7 >"$RUNDIR/.control/shutdown"; while [ -e "$RUNDIR/pid" ]; do sleep 0.1; done`;
  expect(await client(box, lines)).toEqual(DONE);
  expect(await sysmgr.exited()).toBe(7);
  expect(lives(pid)).toBeFalse();
});

// ------------------------------------------------------------------ the man page

/** The sh functions of a man page's examples, as a reader would copy them. */
function functionsOf(page: string): string {
  const text = read(`${import.meta.dir}/../../man/${page}`) ?? "";
  const blocks = text
    .split(/^\.Bd .*$/m)
    .slice(1)
    .map((block) => block.split(/^\.Ed$/m)[0] ?? "");
  return blocks
    .filter((block) => /^\w+\(\) \{/m.test(block))
    .map((block) => block.replace(/^shutdown_with \d+$/m, ""))
    .join("")
    .replaceAll("\\(dq", '"')
    .replaceAll("\\(aq", "'")
    .replaceAll("\\e", "\\")
    .replaceAll("\\&", "");
}

async function copied(box: Sandbox, lines: string): Promise<Outcome> {
  const interpreter = Bun.which("dash") ?? "sh";
  const script = `set -u\n${functionsOf("sysmgr.7")}\n${lines}\n`;
  return await shell(box, script, { interpreter, env: { RUNDIR: box.rundir } });
}

scenario("the functions of sysmgr(7) do what it says", async (box) => {
  const web = box.service("web");
  const db = box.service("db", "exit 3");
  await box.start();
  const pid = await web.running();
  await db.is("backoff");
  expect(await copied(box, "supervised")).toEqual(DONE);
  expect(await copied(box, "stop web")).toEqual(DONE);
  expect([lives(pid), web.status.state]).toEqual([false, "down"]);
  expect((await copied(box, "alive web")).code).not.toBe(0);
  expect(await copied(box, "start web")).toEqual(DONE);
  const second = web.pid ?? 0;
  expect([lives(second), web.status.state]).toEqual([true, "up"]);
  expect(await copied(box, "restart web")).toEqual(DONE);
  expect([lives(second), web.status.state]).toEqual([false, "up"]);
  expect(await copied(box, "alive web && get web pid")).toEqual({ ...DONE, out: `${web.pid}\n` });
  expect((await copied(box, "list")).out).toMatch(/^db: (backoff|starting|up)\nweb: up\n$/);
  const troubles = await copied(box, "troubles");
  expect(troubles).toEqual({ ...DONE, out: expect.stringMatching(/^(db: .*exit=3.*\n)?$/) });
  const third = web.pid ?? 0;
  expect(await copied(box, "ask web hup")).toEqual(DONE);
  await web.runningAfter(third);
  expect(await copied(box, "stop_with web INT && await web down 7 && get web exit")).toEqual({
    ...DONE,
    out: "signal INT\n",
  });
});

scenario("the graph of sysmgr(7) shows who asked for whom", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  await web.running();
  await db.running();
  makeDirectory(web.file("depends"));
  await Bun.write(web.file("depends/db"), "");
  const out = 'digraph services {\n  "web" -> "db";\n}\n';
  expect(await copied(box, "graph")).toEqual({ ...DONE, out });
});

scenario("shutdown_with of sysmgr(7) ends all with that exit status", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  expect(await copied(box, "shutdown_with 3")).toEqual(DONE);
  expect(await sysmgr.exited()).toBe(3);
  expect((await copied(box, "supervised")).code).not.toBe(0);
});
