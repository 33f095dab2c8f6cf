/** What svctl tells on a terminal while it waits. */
import { expect } from "bun:test";
import { kill } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import type { Service } from "../lib/service.ts";
import { OnTerminal, type Size } from "../lib/terminal.ts";

const ERASED = "\r^[[K";

/** Services that ignore TERM, and do so already. */
async function stubborn(box: Sandbox, ...names: string[]): Promise<Service[]> {
  const all = names.map((n) => box.service(n, "trap '' TERM\ntrace ready\nexec sleep 3600"));
  for (const service of all) await service.traced("ready");
  return all;
}

function svctl(box: Sandbox, args: readonly string[], env = {}, size?: Size): OnTerminal {
  return new OnTerminal(box, [`${BIN}/svctl`, ...args], env, size);
}

function killAll(services: readonly Service[]): void {
  for (const service of services) kill(Number(service.pid), "SIGKILL");
}

patientScenario("stop of many: how many are done, and for whom it waits", async (box) => {
  box.service("a");
  await box.start();
  const [db, web] = await stubborn(box, "db", "web");
  const terminal = svctl(box, ["-t", "600", "stop", "a", "db", "web"]);
  await terminal.says(/\^\[\[K1 of 3 done, waiting for db, web$/);
  kill(db?.pid ?? 0, "SIGKILL");
  // It makes room for a line of the result, and comes back.
  await terminal.says(/db, web\r\^\[\[Kdb: .*DOWN.*\r\n\r\^\[\[K2 of 3 done, waiting for web$/);
  kill(web?.pid ?? 0, "SIGKILL");
  expect(await terminal.child.exited).toBe(0);
  await terminal.says(/waiting for web\r\^\[\[Kweb: .*DOWN[^\n]*\r\n$/);
});

patientScenario("an error is not written behind it", async (box) => {
  await box.start();
  const services = await stubborn(box, "web");
  const terminal = svctl(box, ["-t", "7", "stop", "web"]);
  expect(await terminal.child.exited).toBe(1);
  await terminal.says(/\^\[\[K0 of 1 done, waiting for web\r\^\[\[Ksvctl: web: not down.*\r\n$/);
  killAll(services);
});

patientScenario("exit: it waits for the logger after the service", async (box) => {
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  web.installLogged("exec sleep 3600", log, "trap '' TERM\ntrace ready\nexec sleep 3600");
  await box.start();
  await log.traced("ready");
  const terminal = svctl(box, ["-t", "600", "exit", "web"]);
  await terminal.says(/\^\[\[K0 of 1 done, waiting for web\/log$/);
  kill(Number(log.pid), "SIGKILL");
  expect(await terminal.child.exited).toBe(0);
});

patientScenario("ready tells for whom it waits, as long as it does", async (box) => {
  await box.start();
  const web = box.service("web");
  await web.running();
  web.mark("once");
  const late = box
    .declare("late")
    .installDirectory("exec sleep 3600", {}, { "notification-fd": "3" });
  await late.running();
  const terminal = svctl(box, ["-t", "600", "ready"]);
  await terminal.says(/\^\[\[Kwaiting for late$/);
  kill(Number(late.pid), "SIGKILL");
  await box.run(["svctl", "stop", "late"]);
  expect(await terminal.child.exited).toBe(0);
  await terminal.says(/\r\^\[\[K$/);
});

patientScenario("shutdown tells for whom sysmgr waits", async (box) => {
  const sysmgr = await box.start();
  const services = await stubborn(box, "db", "web");
  const terminal = svctl(box, ["shutdown"]);
  await terminal.says(/\^\[\[Kwaiting for db, web/);
  killAll(services);
  expect(await terminal.child.exited).toBe(0);
  await terminal.says(/\r\^\[\[K$/);
  expect(await sysmgr.exited()).toBe(0);
});

patientScenario("upgrade tells that it waits for sysmgr", async (box) => {
  const sysmgr = await box.start();
  sysmgr.signal("SIGSTOP");
  const terminal = svctl(box, ["-t", "600", "upgrade"]);
  await terminal.says(/\^\[\[Kwaiting for sysmgr$/);
  sysmgr.signal("SIGCONT");
  expect(await terminal.child.exited).toBe(0);
  await terminal.says(/\r\^\[\[K$/);
});

patientScenario("it is cut to the terminal's width, and does nothing to it", async (box) => {
  await box.start();
  const services = await stubborn(box, "\x1b]0;evil\x07", "a-service-with-a-long-name");
  const names = services.map((s) => s.name);
  const terminal = svctl(box, ["-t", "600", "stop", ...names], {}, { cols: 50, rows: 5 });
  await terminal.says(/waiting for \\x1b\]0;evil\\x07, a-\w*-?\w*~$/);
  const line = terminal.said.split(ERASED).at(-1) ?? "";
  expect(line.length).toBe(49);
  expect(terminal.said).not.toContain("^[]");
  killAll(services);
  expect(await terminal.child.exited).toBe(0);
});

patientScenario("a terminal of one column shows nothing, and all goes on", async (box) => {
  await box.start();
  const services = await stubborn(box, "web");
  const terminal = svctl(box, ["-t", "2", "stop", "web"], {}, { cols: 1, rows: 1 });
  expect(await terminal.child.exited).toBe(1);
  expect(terminal.said).not.toContain("waiting");
  killAll(services);
});

for (const [what, words, env] of [
  ["with -q", ["svctl", "-q"], {}],
  ["on a terminal that is dumb", ["svctl"], { TERM: "dumb" }],
  ["if standard error is none", ["sh", "-c", 'exec svctl "$@" 2>/dev/null', "sh"], {}],
  ["in the background", ["bash", "-mc", 'svctl "$@" & wait', "sh"], {}],
] as const) {
  patientScenario(
    `there is nothing of it ${what}`,
    async (box) => {
      await box.start();
      const services = await stubborn(box, "web");
      const path = { PATH: `${BIN}:${process.env.PATH}` };
      const terminal = new OnTerminal(box, [...words, "-t", "7", "stop", "web"], {
        ...path,
        ...env,
      });
      await terminal.child.exited;
      expect(terminal.said).not.toMatch(/waiting for|\^\[\[K/);
      killAll(services);
    },
    Bun.which("bash") !== null || words[0] !== "bash",
  );
}
