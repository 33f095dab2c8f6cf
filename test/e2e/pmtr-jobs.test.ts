/** pmtr: what a job finds around it, and when it is started, ended and started again. */
import { expect } from "bun:test";
import { readlinkSync } from "node:fs";
import { exists, link, place, read, remove, write } from "../lib/files.ts";
import { job, type PmtrBox, patientScenario, receiver, STAYS, scenario } from "../lib/pmtr.ts";
import { descriptors, environment, environmentWith, lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { until } from "../lib/until.ts";

/** Empty while a shell puts one in another's place. */
const fileOf = (pid: number, fd: number) => descriptors(pid).get(fd) ?? "";
const cwdOf = (pid: number) => readlinkSync(`/proc/${pid}/cwd`);

scenario("all jobs of the file are started, and end with pmtr", async (p) => {
  p.edit(job("web", STAYS), job("db", STAYS), job('"a b/c: $x"', STAYS));
  const pmtr = await p.start();
  const pids = [await p.runs("web"), await p.runs("db"), await p.runs("a b/c: $x")];
  await pmtr.says(/^pmtr: a b\/c: \$x: started, pid \d+$/);
  expect(await pmtr.stop()).toBe(0);
  expect(pids.map(lives)).toEqual([false, false, false]);
  expect(exists(p.place)).toBeFalse();
});

scenario(
  "stdin, stdout and stderr are /dev/null, and it runs where pmtr was started",
  async (p) => {
    p.edit(job("web", STAYS));
    await p.start();
    const pid = await p.runs("web");
    await until(() => cwdOf(pid) === `${p.box.dir}/work`, "it has begun");
    await until(
      () => [0, 1, 2].every((fd) => fileOf(pid, fd) === "/dev/null"),
      "all are /dev/null",
    );
    await environmentWith(pid, `SANDBOX=${p.box.dir}`);
  },
);

scenario("dir, in, out and err; relative ones begin in dir; output is appended", async (p) => {
  write(`${p.box.dir}/in`, "hello\n");
  write(`${p.box.dir}/out`, "before\n");
  const cmd = 'cmd /bin/sh -c "cat; pwd -P; echo oops >&2"';
  p.edit(job("web", `dir ${p.box.dir}`, cmd, "in in", "out out", `err ${p.box.dir}/err`, "once"));
  await p.start();
  await until(() => read(`${p.box.dir}/out`) === `before\nhello\n${p.box.dir}\n`, "it has written");
  await until(() => read(`${p.box.dir}/err`) === "oops\n", "it has complained");
});

scenario("without user it is the user of pmtr", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const ids = (pid: number) => (read(`/proc/${pid}/status`) ?? "").match(/^[UG]id:.*$/gm);
  expect(ids(await p.runs("web"))).toEqual(ids(pmtr.pid));
});

scenario("-I: a job has what pmtr has, unless it says otherwise", async (p) => {
  write(`${p.box.dir}/stdin`, "typed\n");
  p.edit(
    job("web", 'cmd /bin/sh -c "cat; echo oops >&2; exec sleep 3600"'),
    job("db", STAYS, "out /dev/null"),
  );
  const pmtr = await p.start({ args: ["-I"], stdin: `${p.box.dir}/stdin` });
  await pmtr.says(/^typed$/);
  await pmtr.says(/^oops$/);
  const pid = await p.runs("db");
  await until(() => fileOf(pid, 1) === "/dev/null", "out is as it says");
  await until(() => fileOf(pid, 2).startsWith(p.box.dir), "err is inherited");
  await pmtr.says(/^pmtr: web: started, pid \d+$/);
});

scenario("out syslog: what a job says goes to logger, which ends with it", async (p) => {
  const log = `${p.box.dir}/syslog`;
  p.script(
    "bin.logger",
    `while IFS= read -r line; do echo "$* $line" >>'${log}'; done; echo end >>'${log}'`,
  );
  Bun.spawnSync(["mkdir", `${p.box.dir}/bin`]);
  link("../bin.logger", `${p.box.dir}/bin/logger`);
  p.edit(job("web", 'cmd /bin/sh -c "echo one; echo two >&2"', "out syslog", "err syslog", "once"));
  await p.start({ env: { PATH: `${p.box.dir}/bin:${process.env.PATH}` } });
  await until(() => read(log)?.endsWith("end\n"), "logger has ended");
  const said = ["-p daemon.info -t web one", "-p daemon.info -t web two", "end", ""];
  expect(read(log)?.split("\n")).toEqual(said);
});

scenario("cmd is an absolute path; what is not there is told and tried again", async (p) => {
  p.edit(job("web", "cmd /nonexistent/web"));
  const pmtr = await p.start();
  await pmtr.says(/^pmtr: web: exited with 127 after .*/);
  await pmtr.says(/^pmtr: web: .*next start in [\d.]+ s$/);
});

scenario("after a short life it is started again 10 s after its end", async (p) => {
  p.edit(job("web", "cmd /bin/false"));
  const pmtr = await p.start();
  await pmtr.says(/^pmtr: web: .*next start in [\d.]+ s$/);
  const { next, since, runs } = await until(() => {
    const { status } = p.job("web");
    return status.state === "backoff" && status;
  }, "it waits");
  // From the end; each of them is rounded to a millisecond.
  const wait = Number(next) - Number(since);
  expect(wait > 5 && wait < 10.01).toBeTrue();
  expect(runs).toBe("1");
});

scenario("exit status 33: it is not started again", async (p) => {
  p.edit(job("web", 'cmd /bin/sh -c "exit 33"'), job("db", 'cmd /bin/sh -c "exit 34"'));
  const pmtr = await p.start();
  await pmtr.says(/^pmtr: web: exited with 33 after .*; down \(restart: unless 33\)$/);
  await pmtr.says(/^pmtr: db: exited with 34 after .*; next start in [\d.]+ s$/);
  await p.job("web").is("down");
});

scenario("once: it is not started again, however it ended", async (p) => {
  p.edit(job("ok", "cmd /bin/true", "once"), job("bad", "cmd /bin/false", "once"));
  const pmtr = await p.start();
  await pmtr.says(/^pmtr: ok: exited with 0 after .*; down \(restart: never\)$/);
  await pmtr.says(/^pmtr: bad: exited with 1 after .*; down \(restart: never\)$/);
});

scenario("wait holds those that follow back until it has ended", async (p) => {
  const gate = `${p.box.dir}/gate`;
  const wait = p.script("wait", `while [ ! -e '${gate}' ]; do sleep 0.1; done; exit 1`);
  p.edit(job("first", STAYS), job("setup", `cmd ${wait}`, "wait", "once"), job("web", STAYS));
  await p.start();
  await p.runs("setup");
  await p.runs("first");
  await p.settled();
  expect(exists(`${p.place}/jobs/web`)).toBeFalse();
  write(gate, "");
  await p.runs("web");
  await p.job("setup").is("down");
});

scenario("wait without once: the first end counts", async (p) => {
  p.edit(
    job("setup", "cmd /bin/true", "wait"),
    job("web", STAYS),
    job("more", "cmd /bin/true", "wait"),
    job("last", STAYS),
  );
  await p.start();
  await p.runs("last");
  await p.runs("web");
});

scenario(
  "an edit while jobs are held back changes those that run, and holds new ones back",
  async (p) => {
    const gate = `${p.box.dir}/gate`;
    const wait = p.script("wait", `while [ ! -e '${gate}' ]; do sleep 0.1; done`);
    const setup = job("setup", `cmd ${wait}`, "wait", "once");
    p.edit(job("first", STAYS), setup, job("web", STAYS));
    await p.start();
    const [first, waiting] = [await p.runs("first"), await p.runs("setup")];
    p.edit(job("first", "cmd /bin/sleep 3601"), setup, job("db", STAYS));
    await p.runs("first", first);
    expect([p.pid("setup"), p.pid("db")]).toEqual([waiting, null]);
    write(gate, "");
    await p.runs("db");
    expect(exists(`${p.place}/jobs/web`)).toBeFalse();
  },
);

scenario("order decides who comes first", async (p) => {
  const trace = `${p.box.dir}/order`;
  const says = (name: string) => `cmd ${p.script(name, `echo ${name} >>'${trace}'`)}`;
  p.edit(
    job("c", says("c"), "order 2", "once"),
    job("a", says("a"), "order -1", "wait", "once"),
    job("b", says("b"), "wait", "once"),
  );
  await p.start();
  await until(() => read(trace) === "a\nb\nc\n", "they come in their order");
});

scenario("bounce every: it is restarted so often", async (p) => {
  p.edit(job("web", STAYS, "bounce every 1s"), job("db", STAYS));
  const pmtr = await p.start();
  const db = await p.runs("db");
  const first = await p.runs("web");
  const second = await p.runs("web", first);
  const third = await p.runs("web", second);
  expect(new Set([first, second, third]).size).toBe(3);
  await pmtr.says(/^pmtr: web: bounced$/, 2);
  expect(p.pid("db")).toBe(db);
});

scenario("depends: a change of content restarts it, whatever the file goes through", async (p) => {
  const [one, two] = [`${p.box.dir}/work/one`, `${p.box.dir}/later/two`];
  write(one, "1");
  p.edit(job("web", STAYS, "depends {", "one", two, "}"), job("db", STAYS));
  await p.start();
  const db = await p.runs("db");
  let pid = await p.runs("web");
  const restarts = async (act: () => void) => {
    act();
    pid = await p.runs("web", pid);
  };
  await restarts(() => write(one, "2"));
  await restarts(() => place(one, "3"));
  await restarts(() => Bun.spawnSync(["mkdir", `${p.box.dir}/later`]) && write(two, "here"));
  await restarts(() => place(two, "again"));
  await restarts(() => remove(one));
  await restarts(() => write(one, "3"));
  // The same content, written anew, and a neighbour, are no change: the next one is the proof.
  place(one, "3");
  write(`${p.box.dir}/work/other`, "");
  const { runs } = p.job("web").status;
  await Bun.sleep(150);
  await restarts(() => place(one, "4"));
  expect(Number(p.job("web").status.runs)).toBe(Number(runs) + 1);
  expect(p.pid("db")).toBe(db);
});

/** A pmtr beside whose link there is a chpst that writes down what it is asked. */
function withStandIn(p: PmtrBox): string {
  Bun.spawnSync(["mkdir", `${p.box.dir}/bin`]);
  const body = `for word; do printf '%s\\n' "$word"; done >'${p.box.dir}/asked'
while :; do
  case $1 in
    --env) export "$2"; shift 2 ;;
    --stderr) exec 2>>"$2"; shift 2 ;;
    -*) shift 2 ;;
    *) break ;;
  esac
done
exec "$@"`;
  p.script("bin/chpst", body);
  link(`${BIN}/sysmgr`, `${p.box.dir}/bin/pmtr`);
  return `${p.box.dir}/bin/pmtr`;
}

scenario("env, user, ulimit, nice and cpu are left to the chpst beside pmtr", async (p) => {
  p.edit(
    job(
      "web",
      STAYS,
      "env A=1",
      'env "B=two  words"',
      "user root",
      "ulimit -n 30",
      "ulimit -c infinity",
      "nice 5",
      "cpu 0",
      "err err",
    ),
  );
  await p.start({ program: withStandIn(p) });
  const pid = await p.runs("web");
  await until(() => environment(pid).includes("B=two  words"), "it has its environment");
  const asked = ["--env", "A=1", "--env", "B=two  words", "--ulimit", "n=30B:30B", "--ulimit"];
  const more = ["c=infinity:infinity", "--cpu", "0", "--nice", "5", "-u", "root"];
  expect(read(`${p.box.dir}/asked`)?.split("\n")).toEqual([
    ...asked,
    ...more,
    "--stderr",
    "err",
    "/bin/sleep",
    "3600",
    "",
  ]);
});

const haveChpst = exists(`${BIN}/chpst`);

scenario(
  "env, user, ulimit, nice and cpu are so in the job",
  async (p) => {
    Bun.spawnSync(["chmod", "755", p.box.dir]);
    p.edit(
      job(
        "web",
        STAYS,
        "env A=1",
        'env "B=two  words"',
        "user nobody",
        "ulimit -n 30",
        "ulimit -c infinity",
        "ulimit -f 123456789",
        "nice 5",
        "cpu 0",
      ),
    );
    await p.start();
    const pid = await p.runs("web");
    const status = () => read(`/proc/${pid}/status`) ?? "";
    await until(() => read(`/proc/${pid}/comm`) === "sleep\n", "it has begun");
    await environmentWith(pid, "A=1", "B=two  words");
    expect(status()).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status()).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
    expect(status()).toMatch(/^Cpus_allowed_list:\t0$/m);
    expect(read(`/proc/${pid}/limits`)).toMatch(/^Max open files +30 +30 +files/m);
    expect(read(`/proc/${pid}/limits`)).toMatch(/^Max file size +123456789 +123456789 +bytes/m);
    expect(read(`/proc/${pid}/limits`)).toMatch(/^Max core file size +unlimited +unlimited/m);
    expect(read(`/proc/${pid}/stat`)?.split(") ")[1]?.split(" ")[16]).toBe("5");
  },
  haveChpst && process.getuid?.() === 0,
);

scenario(
  "a ulimit that cannot be set is logged, and it is not run",
  async (p) => {
    p.edit(job("web", STAYS, "ulimit -n 18446744073709551614"));
    const pmtr = await p.start();
    await pmtr.says(/chpst: /);
    await pmtr.says(/^pmtr: web: .*next start in [\d.]+ s$/);
  },
  haveChpst,
);

patientScenario("a report comes every ten seconds", async (p) => {
  const { texts, socket } = await receiver();
  p.edit(`report to udp://127.0.0.1:${socket.port}\n`, job("web", STAYS));
  await p.start();
  await until(() => texts.length === 1, "the first one comes");
  const first = performance.now();
  await until(() => texts.length === 2, "the second one comes");
  // Timers of two processes: it is not a second.
  expect(performance.now() - first).toBeGreaterThan(5_000);
  socket.close();
});

patientScenario("after a life of 10 s it is started again at once", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const pid = await p.runs("web");
  const seen = performance.now();
  await until(() => performance.now() > seen + 10_000, "it has run for 10 s");
  process.kill(pid, "SIGKILL");
  await p.runs("web", pid);
  expect(pmtr.messages).not.toMatch(/next start in/);
});

patientScenario("a job that ignores TERM gets KILL shortly afterwards", async (p) => {
  const stubborn = p.script("stubborn", "trap '' TERM\n: >\"$0.ready\"\nwhile :; do sleep 1; done");
  p.edit(job("web", `cmd ${stubborn}`));
  const pmtr = await p.start();
  const pid = await p.runs("web");
  await until(() => exists(`${stubborn}.ready`), "it ignores TERM");
  p.edit("");
  await pmtr.says(/^pmtr: web: still runs after 5 s; KILL$/);
  await until(() => !lives(pid), "it is gone");
});
