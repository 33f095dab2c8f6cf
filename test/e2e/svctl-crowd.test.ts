/** Many clients at once: each is answered, and what is asked last is so in the end. */
import { expect } from "bun:test";
import { BLIND } from "../lib/clients.ts";
import { lives } from "../lib/processes.ts";
import { BIN, type Outcome, type Sandbox } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const CLIENTS = 20;

/** A client that gives one command after the other, until one fails; waits for as long as it takes. */
function client(box: Sandbox, commands: string[], wrapper: string[] = []): Promise<Outcome> {
  const script = 'for command; do svctl -q -t 60 $command || { echo "$command"; exit 1; }; done';
  const env = { PATH: `${BIN}:${process.env.PATH}` };
  return box.run(["sh", "-c", script, "sh", ...commands], { env, wrapper });
}

const DONE: Outcome = { code: 0, out: "", err: "" };

scenario("three hundred commands from twenty clients are each answered", async (box) => {
  const names = Array.from({ length: CLIENTS }, (_, i) => `own${i}`);
  const services = names.map((name) => box.service(name));
  const shared = box.service("shared", trapping("HUP", "USR1", "USR2"));
  const sysmgr = await box.start({ args: ["-q"] });
  for (const s of services) await s.running();
  await shared.traced("ready");
  const pid = await shared.running();
  const outcomes = await Promise.all(
    names.map((own) =>
      client(box, [
        ...["hup shared", `restart ${own}`, `stop ${own}`, "usr1 shared", `start ${own}`],
        ...[`stop ${own}`, "start shared", `once ${own}`, `kill ${own}`, "cont shared"],
        ...[`restart ${own}`, "usr2 shared", `stop ${own}`, `start ${own}`, "hup shared"],
      ]),
    ),
  );
  expect(outcomes).toEqual(names.map(() => DONE));
  // runs: once at first, then for two restarts, two starts and one once.
  expect(services.map((s) => s.status.runs)).toEqual(names.map(() => "6"));
  expect(services.filter((s) => !lives(s.pid ?? 0))).toEqual([]);
  expect([...services, shared].flatMap((s) => s.box)).toEqual([]);
  expect(shared.pid).toBe(pid);
  for (const word of ["HUP", "USR1", "USR2"]) await shared.traced(word);
  expect((await box.run(["svctl", "status"])).code).toBe(0);
  await sysmgr.answers();
  await box.run(["svctl", "kill", "shared"]);
});

scenario("twenty clients that want different things of one service do no harm", async (box) => {
  const web = box.service("web");
  const other = box.service("other");
  await box.start({ args: ["-q"] });
  await web.running();
  const pid = await other.running();
  const words = ["stop", "start", "restart", "once", "hup", "term", "kill", "cont", "pause", "up"];
  const outcomes = await Promise.all(
    Array.from({ length: CLIENTS }, (_, i) =>
      box.run(["svctl", "-n", words[i % words.length] ?? "", "web"]),
    ),
  );
  // A signal is refused while nothing runs; everything else is accepted.
  const refused = outcomes.filter((o) => o.code !== 0);
  expect(refused.map((o) => o.err)).toEqual(refused.map(() => "svctl: web: is not running\n"));
  await until(() => web.box.length === 0, "all are answered");
  expect((await box.run(["svctl", "cont", "web"])).err).toMatch(
    /^(svctl: web: is not running\n)?$/,
  );
  expect(await box.run(["svctl", "stop", "web"])).toMatchObject({ code: 0, err: "" });
  expect(web.status).toMatchObject({ state: "down", wanted: "down" });
  expect(await box.run(["svctl", "start", "web"])).toMatchObject({ code: 0, err: "" });
  expect(lives(web.pid ?? 0)).toBeTrue();
  expect(other.pid).toBe(pid);
});

scenario("twenty clients that want the same are all told that it is so", async (box) => {
  const web = box.service(
    "web",
    "trap 'sleep 0.2; exit' TERM\nwhile :; do sleep 3600 & wait $!; done",
  );
  await box.start();
  for (const [word, state] of [
    ["start", true],
    ["stop", false],
    ["start", true],
    ["restart", true],
    ["kill", false],
  ] as const) {
    const outcomes = await Promise.all(
      Array.from({ length: CLIENTS }, () => client(box, [`${word} web`])),
    );
    expect({ word, outcomes }).toEqual({ word, outcomes: outcomes.map(() => DONE) });
    expect(web.pid !== null && lives(web.pid)).toBe(state);
  }
});

scenario("one command for two hundred services is one command", async (box) => {
  const services = Array.from({ length: 200 }, (_, i) => box.service(`s${i}`));
  await box.start({ args: ["-q"] });
  const names = services.map((s) => s.name);
  for (const s of services) await s.running();
  for (const word of ["stop", "start", "restart", "once"]) {
    const outcome = await box.run(["svctl", "-q", "-t", "60", word, ...names]);
    expect({ word, ...outcome }).toEqual({ word, ...DONE });
    const running = services.filter((s) => s.pid !== null && lives(s.pid)).length;
    expect({ word, running }).toEqual({ word, running: word === "stop" ? 0 : 200 });
  }
});

scenario(
  "clients without inotify are answered, too",
  async (box) => {
    const names = Array.from({ length: 5 }, (_, i) => `own${i}`);
    const services = names.map((name) => box.service(name));
    await box.start();
    for (const s of services) await s.running();
    const outcomes = await Promise.all(
      names.map((own) => client(box, [`stop ${own}`, `start ${own}`, `restart ${own}`], BLIND)),
    );
    expect(outcomes).toEqual(names.map(() => DONE));
    expect(services.map((s) => s.status.runs)).toEqual(names.map(() => "3"));
  },
  have.userns,
);
