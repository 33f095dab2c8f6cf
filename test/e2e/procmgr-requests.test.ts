/** procmgr: requests that no honest client makes, stale ones, and too many. */
import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, linkSync, symlinkSync, truncateSync } from "node:fs";
import { exists, list, makeDirectory, read, write } from "../lib/files.ts";
import { descriptors, kill } from "../lib/processes.ts";
import { as, ended, type Procmgr, requestText, scene, sleeper } from "../lib/procmgr.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const USER = 60_001;
const OTHER = 60_002;

/** Leaves a trace whenever it is run. */
const config = (p: Procmgr) =>
  `[prog-web]\nallow-uid = ${USER}\ncmd-signal = echo run "$@" >>${p.dir}/trace\n`;

const answer = (error: string) => `code=111\nerror=${error}\n`;

/** It still works, for everybody else. */
async function works(p: Procmgr): Promise<void> {
  expect(await p.run(["web", "signal"])).toEqual({ code: 0, out: "", err: "" });
}

scene(
  "only a directory of mode 0700 is a request; others are not even answered",
  async (p) => {
    await p.start(config(p));
    const pid = (await sleeper(p, USER)).pid;
    const text = requestText(pid, "web", "signal");
    for (const mode of [0o777, 0o701, 0o1700, 0o2700, 0o500, 0o755]) {
      expect([mode, await p.forge({ uid: USER, mode, text, fill: empty }).outcome()]).toEqual([
        mode,
        "gone",
      ]);
    }
    expect(exists(`${p.dir}/trace`)).toBe(false);
    expect(await p.forge({ uid: USER, text }).outcome()).toBe("code=0\n");
  },
  have.setpriv,
);

/** Without what is in it, it can be removed whatever its mode is. */
function empty(dir: string): void {
  execFileSync("rm", ["-f", `${dir}/request`]);
}

scene(
  "somebody else's directory, moved into the spool, is neither a request nor emptied",
  async (p) => {
    await p.start(config(p));
    const pid = (await sleeper(p, OTHER)).pid;
    const { path } = p.forge({ uid: 0, mode: 0o777, text: requestText(pid, "web", "signal") });
    await works(p);
    expect(list(path)).toEqual(["request"]);
  },
  have.setpriv,
);

scene(
  "a forged client: of another user, a start time that is not its own, a pid that is nobody's",
  async (p) => {
    await p.start(config(p));
    const [own, foreign] = [(await sleeper(p, USER)).pid, (await sleeper(p, OTHER)).pid];
    const notHis = answer("the client does not belong to who made the request");
    for (const pid of [foreign, process.pid, 1]) {
      expect(await p.forge({ uid: USER, text: requestText(pid, "web", "signal") }).outcome()).toBe(
        notHis,
      );
    }
    const text = requestText(own, "web", "signal");
    const stale = text.replace(/start=(\d+)/, (_, start) => `start=${Number(start) - 1}`);
    expect(await p.forge({ uid: USER, text: stale }).outcome()).toBe("gone");
    const nobody = text.replace(/pid=\d+/, "pid=4194303");
    expect(await p.forge({ uid: USER, text: nobody }).outcome()).toBe("gone");
    expect(
      await p.forge({ uid: OTHER, text: requestText(foreign, "web", "signal") }).outcome(),
    ).toBe(answer("permission denied"));
    expect(exists(`${p.dir}/trace`)).toBe(false);
  },
  have.setpriv,
);

scene(
  "the request of a client that has ended is deleted, never run, whoever looks at it first",
  async (p) => {
    const first = await p.start(config(p));
    const child = await sleeper(p, USER);
    const text = requestText(child.pid, "web", "signal");
    first.process.kill("SIGKILL");
    await first.process.exited;
    const { path } = p.forge({ uid: USER, text });
    kill(child.pid, "SIGKILL");
    await ended(child.pid);
    await p.start();
    await until(() => !exists(path), "it is deleted");
    expect(exists(`${p.dir}/trace`)).toBe(false);
  },
  have.setpriv,
);

scene(
  "what a request holds is read as data, or not at all",
  async (p) => {
    await p.start(config(p));
    const pid = (await sleeper(p, USER)).pid;
    const good = requestText(pid, "web", "signal");
    const malformed = answer("the request is malformed");
    const content = (text: string, size?: number) => (dir: string) => {
      const path = `${dir}/request`;
      write(path, text, 0o600);
      if (size !== undefined) truncateSync(path, size);
      chownSync(path, USER, USER);
    };
    const command =
      (...words: string[]) =>
      (dir: string) => {
        execFileSync(words[0] ?? "", [`${dir}/request`, ...words.slice(1)]);
      };
    const fills: Record<string, (dir: string) => void> = {
      nothing: () => {},
      "an empty file": content(""),
      "no program": content(`pid=${pid}\nstart=1\n`),
      "a NUL byte": content(`${good}arg=a\\x00b\n`),
      "a huge file": content(good, 2 ** 40),
      "more than there may be": content(good + "arg=x\n".repeat(200_000)),
      "a file that is somebody else's": (dir) => write(`${dir}/request`, good),
      "a link": (dir) => symlinkSync(`${p.dir}/procmgr.cfg`, `${dir}/request`),
      "a link to itself": (dir) => symlinkSync("request", `${dir}/request`),
      "a hard link to a secret": (dir) => linkSync(p.conf, `${dir}/request`),
      "a device": command("mknod", "c", "1", "5"),
      "a FIFO": command("mkfifo"),
      "a directory": command("mkdir"),
    };
    for (const [what, fill] of Object.entries(fills)) {
      expect([what, await p.forge({ uid: USER, fill }).outcome()]).toEqual([what, malformed]);
    }
    const long = requestText(pid, "x".repeat(100_000), "signal");
    expect(await p.forge({ uid: USER, text: long }).outcome()).toBe(
      answer(`no such program: ${"x".repeat(80)}`),
    );
    const action = requestText(pid, "web", "y".repeat(100_000));
    expect(await p.forge({ uid: USER, text: action }).outcome()).toBe(
      answer(`no such action: ${"y".repeat(80)}`),
    );
    expect(exists(`${p.dir}/trace`)).toBe(false);
    await works(p);
  },
  have.setpriv,
);

scene(
  "what stands where the answer is to go leads nowhere",
  async (p) => {
    await p.start(config(p));
    const pid = (await sleeper(p, USER)).pid;
    const victim = `${p.dir}/victim`;
    write(victim, "untouched", 0o600);
    const text = requestText(pid, "web", "signal");
    const names = ["answer", ".answer.new", "copy"];
    const linked = p.forge({
      uid: USER,
      text,
      fill: (dir) => {
        for (const name of names) symlinkSync(victim, `${dir}/${name}`);
      },
    });
    await until(() => read(`${linked.path}/answer`) === "code=0\n", "it is answered with a file");
    const full = p.forge({
      uid: USER,
      text,
      fill: (dir) => {
        for (const name of names) makeDirectory(`${dir}/${name}/deep`);
      },
    });
    const count = () => (read(`${p.dir}/trace`) ?? "").split("\n").length - 1;
    await until(() => count() === 2, "it is run");
    await works(p);
    expect(read(victim)).toBe("untouched");
    expect(list(`${full.path}/answer`)).toEqual(["deep"]);
  },
  have.setpriv,
);

scene(
  "what is changed after it was read changes nothing",
  async (p) => {
    await p.start(
      `${config(p)}cmd-status = until [ -e ${p.dir}/go ]; do sleep 0.1; done; echo status >>${p.dir}/trace\n[prog-secret]\ncmd-status = echo secret >>${p.dir}/trace\n`,
    );
    const pid = (await sleeper(p, USER)).pid;
    const request = p.forge({ uid: USER, text: requestText(pid, "web", "status") });
    await until(() => list(`${p.state}/accepted`).length === 1, "it was accepted");
    write(`${request.path}/request`, requestText(1, "secret", "status"));
    write(`${p.dir}/go`, "");
    expect(await request.outcome()).toBe("code=0\n");
    expect(read(`${p.dir}/trace`)).toBe("status\n");
  },
  have.setpriv,
);

scene(
  "so many requests of one user at once, and no more; others are served meanwhile",
  async (p) => {
    await p.start(`${config(p)}cmd-status = exec sleep ${p.forever}\n`);
    const pid = (await sleeper(p, USER)).pid;
    const forever = requestText(pid, "web", "status");
    for (let i = 0; i < 64; i++) p.forge({ uid: USER, text: forever });
    await until(() => list(`${p.state}/accepted`).length === 64, "they are worked on");
    const outcome = await p.forge({ uid: USER, text: forever }).outcome();
    expect(outcome).toBe(answer("more than 64 requests at once"));
    await works(p);
  },
  have.setpriv,
);

scene(
  "three thousand requests of a user delay others for a moment, and leave nothing",
  async (p) => {
    const { process } = await p.start(config(p));
    const text = requestText((await sleeper(p, USER)).pid, "web", "signal");
    const script = `i=0; while [ $i -lt 3000 ]; do mkdir -m 700 .new.$i; echo "$1" >.new.$i/request; mv .new.$i r$i; i=$((i+1)); done`;
    // As fast as it can be done: one process that makes them all.
    const perl = `for $i (0..2999) { mkdir ".new.$i", 0700; open F, ">.new.$i/request"; print F $ARGV[0]; close F; rename ".new.$i", "r$i" }`;
    const command = Bun.which("perl") ? ["perl", "-e", perl] : ["sh", "-c", script, "sh"];
    const dead = text.replace(/start=\d+/, "start=1");
    const flood = Bun.spawn([...as(USER), ...command, dead], {
      cwd: p.spool,
      env: p.environment,
      stdio: ["ignore", "ignore", "ignore"],
    });
    await works(p);
    await flood.exited;
    await works(p);
    await until(() => list(p.spool).length === 0, "all are gone");
    expect(read(`${p.dir}/trace`)).toBe("run\nrun\n");
    expect(descriptors(process.pid).size).toBeLessThan(30);
  },
  have.setpriv,
);

scene("an unfinished request is no request; nothing that is no directory is", async (p) => {
  await p.start(config(p));
  makeDirectory(`${p.spool}/.new.x`, 0o700);
  write(`${p.dir}/file`, "x");
  execFileSync("mv", [`${p.dir}/file`, p.spool]);
  symlinkSync(p.dir, `${p.dir}/link`);
  execFileSync("mv", [`${p.dir}/link`, p.spool]);
  await until(() => list(p.spool).join() === ".new.x", "file and link are removed");
  expect(exists(p.conf)).toBe(true);
  execFileSync("touch", ["-d", "2 minutes ago", `${p.spool}/.new.x`]);
  await works(p);
});

scene("a client that is killed leaves nothing behind", async (p) => {
  await p.start(`[prog-web]\ncmd-signal = exec sleep ${p.forever}\n`);
  const client = p.begin(["web", "signal"]);
  await p.sleeps();
  client.kill("SIGKILL");
  await client.exited;
  p.killSleeping();
  await until(() => list(p.spool).length === 0, "its request is gone");
  expect(list(`${p.state}/accepted`)).toEqual([]);
});

scene("a daemon that is killed leaves requests that the next one answers or refuses", async (p) => {
  const text = `[prog-web]\ncmd-signal = exec sleep ${p.forever}\ncmd-status = echo here\n`;
  const first = await p.start(text);
  const begun = p.begin(["web", "signal"]);
  await p.sleeps();
  first.process.kill("SIGSTOP");
  const waiting = p.begin(["web", "status"]);
  await until(() => list(p.spool).length === 2, "another one waits");
  first.process.kill("SIGKILL");
  await first.process.exited;
  await p.start();
  const refused = await begun.exited;
  // What it runs has our pipe, too.
  p.killSleeping();
  expect([refused, await begun.stderr.text()]).toEqual([
    111,
    "procmgr: the daemon was killed while it worked on this\n",
  ]);
  expect([await waiting.exited, await waiting.stdout.text()]).toEqual([0, "here\n"]);
  await until(() => list(p.spool).length === 0, "nothing is left");
  p.killSleeping();
});

scene("without a daemon a client says so, and leaves nothing", async (p) => {
  p.configure("[prog-web]\n");
  const { code, err } = await p.run(["web", "status"]);
  expect([code, err]).toEqual([111, `procmgr: no daemon works at ${p.socket}\n`]);
  expect(exists(p.spool)).toBe(false);
});

scene(
  "a client trusts no daemon of another user than root and its own",
  async (p) => {
    p.configure("[prog-web]\n");
    write(p.socket, `pid=${process.pid}\nstart=1\n`);
    chownSync(p.socket, OTHER, OTHER);
    const { code, err } = await p.run(["web", "status"], { wrapper: as(USER) });
    expect([code, err]).toEqual([
      1,
      `procmgr: cannot use ${p.socket}: it belongs to uid ${OTHER}\n`,
    ]);
    chmodSync(p.dir, 0o755);
  },
  have.setpriv,
);

scene(
  "a daemon of an ordinary user serves that user",
  async (p) => {
    chownSync(p.dir, USER, USER);
    const text = `[prog-web]\nallow-uid = ${USER}\ncmd-start = exec sleep ${p.forever}\ncmd-signal = cat; echo $PROGNAME >&2\n`;
    await p.start(text, [], as(USER));
    const wrapper = as(USER);
    expect(await p.run(["web", "start"], { wrapper })).toMatchObject({ code: 0 });
    expect(await p.run(["web", "signal"], { wrapper, input: "in\n" })).toEqual({
      code: 0,
      out: "in\n",
      err: "web\n",
    });
    expect(await p.run(["web", "stop"], { wrapper })).toMatchObject({ code: 143 });
    const { code, err } = await p.run(["web", "status"], { wrapper: as(OTHER) });
    expect([code, err]).toEqual([
      1,
      `procmgr: cannot use ${p.socket}: it belongs to uid ${USER}\n`,
    ]);
  },
  have.setpriv,
);
