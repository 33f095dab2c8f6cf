/** supervise: one service, as daemontools has it. */
import { expect } from "bun:test";
import {
  FrontEnd,
  have,
  masked,
  original,
  printsUsage,
  refusesAsOriginal,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { kill, lives } from "../lib/processes.ts";
import { patientScenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

patientScenario("TERM ends it and leaves the service; the next one takes it over", async (box) => {
  const web = new Supervised(serviceDirectory(box.dir, "web"));
  const first = FrontEnd.start(box, ["supervise", web.path]);
  await web.served(box);
  const pid = await web.runs();
  await until(() => web.flags === "18 pid 0 117", "its status is told");
  const bridge = first.bridge ?? 0;
  expect(await first.end("SIGTERM")).toBe("SIGTERM");
  await until(() => web.file("sysmgr") === null && !lives(bridge), "nobody serves it");
  expect(lives(pid)).toBeTrue();
  const second = FrontEnd.start(box, ["supervise", web.path]);
  await web.served(box);
  expect(await web.runs()).toBe(pid);
  await web.tell(box, "dx");
  expect([await second.ended(), lives(pid)]).toEqual([0, false]);
  expect(first.messages + second.messages).toBe("");
});

patientScenario(
  "svc -x ends it when the service ends, svc -dx at once, as Debian's",
  async (box) => {
    for (const program of [original("supervise"), "supervise"]) {
      const parent = `${box.dir}/${program.length}`;
      const web = new Supervised(serviceDirectory(parent, "web"));
      const svc = (letters: string) => box.run([original("svc"), letters, web.path]);
      const svstat = async () => masked(await box.run([original("svstat"), web.path]));
      const one = FrontEnd.start(box, [program, web.path]);
      await web.served(box);
      await until(() => web.flags.includes(" pid "), "it runs");
      const status = () => Buffer.from(web.file("status") ?? "", "latin1");
      const pid = status().readUInt32LE(12);
      // Debian's takes no commands in the first second.
      const age = () => Date.now() / 1000 - (status().readUInt32BE(4) - 10);
      await until(() => age() > 2, "it has run for a while");
      expect((await svc("-x")).code).toBe(0);
      expect(await svstat()).toStartWith(`0: ${web.path}: up (pid P) N seconds`);
      // A command after it is answered in order: by then it has taken both.
      await svc("-p");
      await until(() => web.flags.startsWith("18 pid 1"), "it has taken them");
      expect(await svstat()).toContain("paused");
      kill(pid, "SIGKILL");
      expect(await one.ended()).toBe(0);
      expect(await svstat()).toBe(`0: ${web.path}: supervise not running\n`);
      const two = FrontEnd.start(box, [program, web.path]);
      await web.served(box);
      expect((await svc("-dx")).code).toBe(0);
      expect(await two.ended()).toBe(0);
      expect((await box.run([original("svok"), web.path])).code).toBe(100);
    }
  },
  have.daemontools,
);

for (const [first, second] of [
  ["supervise", "supervise"],
  [original("supervise"), "supervise"],
  ["supervise", original("supervise")],
] as const) {
  patientScenario(
    `where ${first} is, ${second} says so and exits 111`,
    async (box) => {
      const web = new Supervised(serviceDirectory(box.dir, "web"));
      const one = FrontEnd.start(box, [first, web.path]);
      await web.served(box);
      const text = `supervise: fatal: unable to acquire web/supervise/lock: temporary failure\n`;
      const outcome = await box.run([second, "web"], { cwd: box.dir });
      expect(outcome).toEqual({ code: 111, out: "", err: text });
      await web.tell(box, "dx");
      expect(await one.ended()).toBe(0);
    },
    have.daemontools,
  );
}

refusesAsOriginal(
  "supervise",
  [[], ["a", "b"], ["/nonexistent"], ["/etc/passwd"], [""], ["-x"], ["-h", "x"]],
  have.daemontools,
);

printsUsage("supervise", "supervise DIR");
