/** control/ in a service directory: programs in place of signals, with runit's letters. */
import { expect } from "bun:test";
import { touch, write } from "../lib/files.ts";
import { lives, readStat } from "../lib/processes.ts";
import { patientScenario } from "../lib/scenario.ts";
import { STAY, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const SIGNALS = [
  ["hup", "h", "HUP"],
  ["alarm", "a", "ALRM"],
  ["int", "i", "INT"],
  ["quit", "q", "QUIT"],
  ["usr1", "1", "USR1"],
  ["usr2", "2", "USR2"],
  ["term", "t", "TERM"],
] as const;

patientScenario("a control script that succeeds stands for the signal", async (box) => {
  const web = box.declare("web");
  const scripts = SIGNALS.map(([, letter]) => [
    `control/${letter}`,
    // Read first: the test goes on once it has traced.
    `code=$(cat ../../code); trace custom ${letter} in $(basename "$PWD") of $SYSMGR_SERVICE; exit $code`,
  ]);
  write(`${box.dir}/code`, "0");
  web.installDirectory(trapping(...SIGNALS.map(([, , signal]) => signal)), {
    ...Object.fromEntries(scripts),
  });
  await box.start();
  await web.traced("ready");
  const pid = await web.running();
  for (const [command, letter] of SIGNALS) {
    await web.command(command);
    await web.traced(`custom ${letter} in web of web`);
  }
  // One that fails does not: the signals come after all.
  write(`${box.dir}/code`, "1");
  for (const [command, letter, signal] of SIGNALS) {
    await web.command(command);
    await web.traced(signal);
    const at = (line: string) => web.lines.lastIndexOf(line);
    expect(at(`custom ${letter} in web of web`)).toBeLessThan(at(signal));
  }
  const signals = web.lines.filter((line) => SIGNALS.some(([, , signal]) => signal === line));
  expect(signals).toEqual(SIGNALS.map(([, , signal]) => signal));
  expect(web.pid).toBe(pid);
});

patientScenario("pause and kill can be customized, cont too", async (box) => {
  const web = box.declare("web");
  web.installDirectory(STAY, {
    "control/p": "trace p",
    "control/c": "trace c",
    "control/k": "trace k",
  });
  await box.start();
  const pid = await web.running();
  for (const [command, letter] of [
    ["pause", "p"],
    ["cont", "c"],
    ["kill", "k"],
  ] as const) {
    await web.command(command);
    await web.traced(letter);
  }
  expect([web.pid, lives(pid)]).toEqual([pid, true]);
});

patientScenario("a stop asks control/t first, then control/d", async (box) => {
  const web = box.declare("web");
  web.installDirectory(
    `trap 'trace CONT; exit 0' CONT; trap 'trace TERM' TERM; trace ready
while :; do sleep 3600 & wait $!; kill $!; done`,
    { "control/t": "trace t", "control/d": "trace d; exit 1", "control/x": "trace x" },
  );
  await box.start();
  await web.traced("ready");
  expect((await box.run(["svctl", "stop", "web"])).code).toBe(0);
  await web.traced("d");
  expect(web.lines.slice(2).sort()).toEqual(["CONT", "d", "t"]);
  expect(web.lines[2]).toBe("t");
});

patientScenario("a shutdown asks control/t, then control/x", async (box) => {
  const web = box.declare("web");
  web.installDirectory(trapping("TERM"), {
    "control/t": "trace t; exit 1",
    "control/x": `trace x; until grep -qx TERM '${web.traceFile}'; do sleep 0.1; done
kill -9 $(cat ${box.rundir}/web/pid)`,
    "control/d": "trace d",
  });
  const sysmgr = await box.start();
  await web.traced("ready");
  await sysmgr.stop();
  expect(web.lines.slice(2).sort()).toEqual(["TERM", "t", "x"]);
  expect(web.lines[2]).toBe("t");
});

patientScenario("control/u runs before every start", async (box) => {
  const web = box.declare("web");
  web.installDirectory("trace ready; exit 0", { "control/u": "trace u; exit 3" });
  await box.start();
  await web.traced("ready", 2);
  const kinds = web.lines.map((line) => line.split(" ")[0]);
  expect(kinds.slice(0, 6)).toEqual(["u", "start", "ready", "u", "start", "ready"]);
  await web.command("down");
  await web.is("down");
});

patientScenario("control/u runs again for a start after one that was called off", async (box) => {
  const gate = `${box.dir}/gate`;
  const prepare = `trace u $$; until [ -e '${gate}' ]; do sleep 0.1; done`;
  const web = box.declare("web");
  web.installDirectory(`trace ready\n${STAY}`, { "control/u": prepare });
  await box.start();
  await until(() => web.lines.length, "control/u runs");
  await web.command("down");
  await web.is("down");
  touch(gate);
  const pid = Number(web.lines[0]?.split(" ")[1]);
  await until(() => !readStat(pid), "it is reaped");
  await web.command("up");
  await web.traced("ready");
  const kinds = web.lines.map((line) => line.split(" ")[0]);
  expect(kinds).toEqual(["u", "u", "start", "ready"]);
});

patientScenario("a control script that hangs is killed, then the signal is sent", async (box) => {
  const web = box.declare("web");
  web.installDirectory(trapping("HUP"), { "control/h": "trace h; exec sleep 3600" });
  const sysmgr = await box.start();
  await web.traced("ready");
  await web.command("hup");
  await web.traced("HUP");
  expect(web.lines.indexOf("h")).toBeLessThan(web.lines.indexOf("HUP"));
  expect(sysmgr.count(/web: control\/h killed after 5 s/)).toBe(1);
});

patientScenario("no script stands between a stop-timeout and its KILL", async (box) => {
  const web = box.declare("web");
  web.installDirectory(
    trapping("TERM"),
    { "control/k": "trace k", "control/t": "trace t" },
    { "stop-timeout": "0.2" },
  );
  await box.start();
  await web.traced("ready");
  expect((await box.run(["svctl", "stop", "web"])).code).toBe(0);
  await web.traced("t");
  expect(web.lines.slice(2)).toEqual(["t"]);
});

patientScenario("a script that must not be run is told of, and the signal is sent", async (box) => {
  const web = box.declare("web");
  web.installDirectory(trapping("HUP", "USR1"), { "control/h": "trace h", "control/1": "trace 1" });
  await box.run(["chmod", "644", `${web.entry}/control/h`]);
  await box.run(["chmod", "777", `${web.entry}/control/1`]);
  const sysmgr = await box.start();
  await web.traced("ready");
  await web.command("hup");
  await web.traced("HUP");
  await web.command("usr1");
  // Only root has something to fear.
  if (process.getuid?.() === 0) {
    await web.traced("USR1");
    expect(sysmgr.count(/web: cannot run control\/1: anybody may write it/)).toBe(1);
  } else await web.traced("1");
  expect(web.count("h")).toBe(0);
});

patientScenario("finish is told 111 0 of a run that cannot be started, once", async (box) => {
  const web = box.declare("web");
  web.installDirectory(STAY, { finish: 'trace finish "$@"' });
  await box.run(["chmod", "644", `${web.entry}/run`]);
  const sysmgr = await box.start();
  await web.traced("finish 111 0");
  for (let i = 0; i < 3; i++) {
    sysmgr.signal("SIGALRM");
    await sysmgr.answers();
  }
  expect(web.lines).toEqual(["finish 111 0"]);
  await box.run(["chmod", "755", `${web.entry}/run`]);
  await web.running();
});
