/** What services write, with their names in front. */
import { expect } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { writable } from "../../src/libc.ts";
import { append, list, read, remove, touch, write } from "../lib/files.ts";
import { carriers, children, kill, lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { STAY } from "../lib/service.ts";
import type { Supervisor } from "../lib/supervisor.ts";
import { until } from "../lib/until.ts";

/** A service that says what is appended to a file. */
function speaker(box: Sandbox, name: string, more = "") {
  const said = `${box.dir}/said.${name.replaceAll("\\", "_")}`;
  touch(said);
  // Where there is no inotify instance left, tail says so, and goes on.
  const service = box.service(name, `${more}exec tail -n +1 -f ${said} 2>/dev/null`);
  return { service, say: (text: string) => append(said, text) };
}

/** The lines with a name in front. */
function lines(sysmgr: Supervisor): string[] {
  return sysmgr.messages.split("\n").filter((line) => line.includes(" | "));
}

async function prefixer(sysmgr: Supervisor): Promise<number> {
  const find = () =>
    children(sysmgr.pid).find((p) => read(`/proc/${p.pid}/cmdline`)?.startsWith("sysmgr-prefix"));
  return (await until(find, "sysmgr-prefix runs")).pid;
}

patientScenario("each line has the name of its service in front, both outputs", async (box) => {
  const web = speaker(box, "web", "echo oops >&2; ");
  const db = speaker(box, "d\\b");
  const sysmgr = await box.start({ args: ["--prefix"] });
  web.say("one\ntw");
  db.say("\xff bytes \x01\n\n");
  await until(() => lines(sysmgr).length === 4, "four lines");
  web.say("o\nthree");
  await until(() => lines(sysmgr).length === 5, "five lines");
  const expected = [
    "d\\x5cb | ",
    "d\\x5cb | \xff bytes \x01",
    "web | one",
    "web | oops",
    "web | two",
  ];
  expect(lines(sysmgr).sort()).toEqual(expected);
  sysmgr.rebase();
  await sysmgr.stop();
  // The last one was not finished.
  expect(lines(sysmgr).sort()).toEqual([...expected.slice(0, 4), "web | three", "web | two"]);
});

patientScenario("standard output and standard error stay apart", async (box) => {
  box.service("web", `echo out; echo err >&2; ${STAY}`);
  const files = ["out", "err"].map((file) => `${box.dir}/${file}`) as [string, string];
  const [out, err] = files.map((file) => openSync(file, "a"));
  const child = Bun.spawn([`${BIN}/sysmgr`, "--prefix", "-d", box.sysdir, "-r", box.rundir], {
    env: box.environment,
    stdio: ["ignore", out, err],
  });
  await until(() => files.every((file) => read(file)?.includes("web |")), "both have a line");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(read(files[0])).toBe("web | out\n");
  expect(read(files[1])?.match(/^web \|.*$/gm)).toEqual(["web | err"]);
});

patientScenario("--timestamps puts the time in front", async (box) => {
  box.service("web", `echo hello; ${STAY}`);
  const sysmgr = await box.start({ args: ["--timestamps"] });
  await until(() => lines(sysmgr).length === 1, "a line");
  expect(lines(sysmgr)[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z web \| hello$/);
  sysmgr.rebase();
});

patientScenario("a logger gets what is its, and its own output is prefixed", async (box) => {
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  web.installLogged(`echo out; echo err >&2; ${STAY}`, log, "read -r x; echo log $x; cat");
  const sysmgr = await box.start({ args: ["--prefix"] });
  await until(() => lines(sysmgr).length === 2, "two lines");
  expect(lines(sysmgr).sort()).toEqual(["web | err", "web/log | log out"]);
  sysmgr.rebase();
});

patientScenario(
  "a sysmgr-prefix that is killed loses nothing that a pipe can hold",
  async (box) => {
    const web = speaker(box, "web");
    const sysmgr = await box.start({ args: ["--prefix"] });
    const pid = await web.service.running();
    const first = await prefixer(sysmgr);
    web.say("before\n");
    await until(() => lines(sysmgr).length === 1, "a line");
    kill(first, "SIGSTOP");
    web.say("meanwhile\n");
    kill(first, "SIGKILL");
    await until(() => lines(sysmgr).length === 2, "the next one writes it");
    web.say("after\n");
    await until(() => lines(sysmgr).length === 3, "and what comes then");
    expect(lines(sysmgr)).toEqual(["web | before", "web | meanwhile", "web | after"]);
    expect([web.service.starts, sysmgr.count(/sysmgr-prefix ended by signal KILL/)]).toEqual([
      [pid],
      1,
    ]);
    sysmgr.rebase();
  },
);

patientScenario(
  "at the end it reads all that a pipe holds, also of one that was made larger",
  async (box) => {
    const go = `${box.dir}/go`;
    // F_SETPIPE_SZ
    const script = `fcntl(STDOUT, 1031, 1 << 20) or die; select(undef, undef, undef, 0.02) until -e "${go}"; print "$_ ", "x" x 1000, "\\n" for 1 .. 500`;
    const web = box.service("web", `perl -e '${script}' && trace written; ${STAY}`);
    const sysmgr = await box.start({ args: ["--prefix"] });
    const pid = await web.running();
    const reader = await prefixer(sysmgr);
    kill(reader, "SIGSTOP");
    write(go, "");
    await web.traced("written");
    sysmgr.signal("SIGTERM");
    await until(() => !lives(pid), "the service has ended");
    kill(reader, "SIGCONT");
    expect(await sysmgr.exited()).toBe(0);
    expect(lines(sysmgr).map((line) => line.replace(/ x+$/, ""))).toEqual(
      Array.from({ length: 500 }, (_, i) => `web | ${i + 1}`),
    );
  },
  Bun.which("perl") !== null,
);

patientScenario(
  "a line that never ends is written in pieces, with the name in front",
  async (box) => {
    box.service("web", `head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; ${STAY}`);
    // Only lines of up to 4 KiB are written in one piece: nothing else is to be said there.
    const sysmgr = await box.start({ args: ["-q", "--prefix"] });
    await until(() => lines(sysmgr).at(-1) === "web | the end", "it comes to an end");
    const pieces = lines(sysmgr).slice(0, -1);
    expect(pieces.every((line) => /^web \| x*$/.test(line))).toBeTrue();
    expect(pieces.reduce((sum, line) => sum + line.length - 6, 0)).toBe(3_000_000);
    expect(Math.max(...pieces.map((line) => line.length))).toBeLessThan(150_000);
    sysmgr.rebase();
  },
);

patientScenario("a successor goes on with it, after a kill and after an upgrade", async (box) => {
  const web = speaker(box, "web");
  const first = await box.start({ args: ["--prefix"] });
  const pid = await web.service.running();
  await prefixer(first);
  await first.crash();
  web.say("nobody reads\n");
  const second = await box.start({ args: ["--prefix"] });
  await until(() => lines(first).length + lines(second).length === 1, "it is written");
  expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
  web.say("upgraded\n");
  await until(() => lines(second).at(-1) === "web | upgraded", "the upgraded one writes");
  expect(web.service.starts).toEqual([pid]);
  second.rebase();
});

patientScenario("services come, go, and come again", async (box) => {
  const sysmgr = await box.start({ args: ["--prefix"] });
  for (let time = 1; time <= 2; time++) {
    const web = box.service("web", `printf 'time ${time}\\nlast words'; ${STAY}`);
    await web.running();
    await until(() => lines(sysmgr).includes(`web | time ${time}`), `time ${time}`);
    remove(web.entry);
    await box.gone(web);
    await until(() => lines(sysmgr).filter((l) => l === "web | last words").length === time, "all");
  }
  await until(() => list(`${box.rundir}/.pipe/.stdout`).length === 0, "no pipe is left");
  sysmgr.rebase();
});

patientScenario(
  "what runs on is read on when RUNDIR is removed, and what is new, too",
  async (box) => {
    const web = speaker(box, "web");
    const sysmgr = await box.start({ args: ["--prefix"] });
    const pid = await web.service.running();
    web.say("before\n");
    await until(() => lines(sysmgr).length === 1, "a line");
    remove(box.rundir);
    await until(() => web.service.pid === pid, "RUNDIR is made again");
    web.say("after\n");
    await until(() => lines(sysmgr).includes("web | after"), "it is read on");
    box.service("db", `echo new; ${STAY}`);
    await until(() => lines(sysmgr).includes("db | new"), "a new one is read");
    expect(sysmgr.count(/sysmgr-prefix (exited|ended)/)).toBe(0);
    sysmgr.rebase();
  },
);

patientScenario("a RUNDIR of another boot takes nothing away", async (box) => {
  const web = speaker(box, "web");
  const first = await box.start({ args: ["--prefix"] });
  await web.service.running();
  await first.crash();
  kill(await web.service.running(), "SIGKILL");
  const status = web.service.file("status");
  write(status, (read(status) ?? "").replace(/^boot=.*$/m, "boot=another"));
  const second = await box.start({ args: ["--prefix"] });
  await second.says(/another boot; emptied/);
  web.say("hello\n");
  await until(() => lines(second).includes("web | hello"), "it is read");
  second.rebase();
});

patientScenario("ten thousand lines of many services arrive whole", async (box) => {
  const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const zeros = "0".repeat(100);
  const script = `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "$SYSMGR_SERVICE $i ${zeros}"; done; ${STAY}`;
  for (const name of names) box.service(name, script);
  const sysmgr = await box.start({ args: ["--prefix", "-q"] });
  await until(() => lines(sysmgr).length === 10_000, "all lines");
  for (const name of names) {
    const own = lines(sysmgr).filter((line) => line.startsWith(`${name} | `));
    const expected = Array.from({ length: 500 }, (_, i) => `${name} | ${name} ${i + 1} ${zeros}`);
    expect(own).toEqual(expected);
  }
  sysmgr.rebase();
  await sysmgr.stop();
  expect(carriers(box.dir)).toEqual([]);
});

patientScenario("wrong usage is said", async (box) => {
  expect((await box.run(["sysmgr-prefix"])).code).toBe(2);
  expect(await box.run(["sysmgr-prefix", "/nonexistent"])).toEqual({
    code: 1,
    out: "",
    err: "sysmgr-prefix: cannot open /nonexistent: No such file or directory\n",
  });
});

patientScenario("a reader that reads nothing does not outlast the shutdown", async (box) => {
  const fifo = `${box.dir}/fifo`;
  expect((await box.run(["mkfifo", fifo])).code).toBe(0);
  const fd = openSync(fifo, "r+");
  const web = box.service("web", "trace ready; exec yes");
  const wrapper = ["sh", "-c", `exec "$@" >>'${fifo}'`, "sh"];
  const sysmgr = await box.start({ args: ["--prefix"], wrapper });
  await web.traced("ready");
  const pid = await prefixer(sysmgr);
  await until(() => !writable(fd), "the pipe is full");
  await sysmgr.stop();
  await until(() => !lives(pid), "sysmgr-prefix has ended");
  closeSync(fd);
});
