/** svctl watch, logs, graph, plot and metrics on services that run. */
import { expect } from "bun:test";
import { experienced, needing } from "../lib/depends.ts";
import { exists, list, makeDirectory, read, rename, write } from "../lib/files.ts";
import { kill } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";
import { xmlFault } from "../lib/xml.ts";

/** svctl that goes on until it is ended, and what it prints. */
class Running {
  private readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  text = "";

  constructor(box: Sandbox, ...args: string[]) {
    this.child = Bun.spawn([`${BIN}/svctl`, ...args], {
      env: { ...box.environment, SYSDIR: box.sysdir, RUNDIR: box.rundir, TZ: "UTC" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    void this.collect();
  }

  private async collect(): Promise<void> {
    for await (const bytes of this.child.stdout) this.text += Buffer.from(bytes).toString("latin1");
  }

  async says(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.text), `it prints ${pattern}`);
  }

  /** It is in the loop that waits for changes: RUNDIR and so many services are watched. */
  async waits(services: number): Promise<void> {
    const { pid } = this.child;
    const open = () =>
      list(`/proc/${pid}/fdinfo`).map((fd) => read(`/proc/${pid}/fdinfo/${fd}`) ?? "");
    const watches = () =>
      open()
        .join("")
        .match(/^inotify wd:/gm)?.length ?? 0;
    await until(() => watches() > services, "it watches");
  }

  async end(): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }
}

// ---------------------------------------------------------------------- watch

patientScenario("watch prints what happens, as text and as JSON", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  const pid = await web.running();
  await db.running();
  await until(() => web.status.state === "up" && db.status.state === "up", "all are up");
  const [text, json, one] = [
    new Running(box, "watch"),
    new Running(box, "watch", "--json"),
    new Running(box, "watch", "db"),
  ];
  for (const each of [text, json, one]) await each.waits(2);
  kill(pid, "SIGKILL");
  const next = await web.runningAfter(pid);
  await text.says(
    new RegExp(
      `^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} web: up, pid ${next}, 2 runs$`,
      "m",
    ),
  );
  await json.says(new RegExp(`"text":"up, pid ${next}, 2 runs"`));
  await box.run(["svctl", "stop", "db"]);
  await text.says(/ db: down, /);
  await one.says(/ db: down, /);
  expect(one.text).not.toContain(" web: ");
  box.service("late");
  await text.says(/ late: (starting|up), pid \d+$/m);
  sysmgr.signal("SIGTERM");
  await sysmgr.exited();
  await text.says(/ web: removed$/m);
  await text.says(/ sysmgr: ended$/m);
  await json.says(/"event":"sysmgr".*\n/);
  await json.says(/"event":"removed".*"name":"web".*\n/);
  const objects = json.text
    .split("\n")
    .slice(0, -1)
    .map((l) => JSON.parse(l));
  expect(objects).toContainEqual(
    expect.objectContaining({ name: "web", event: "state", state: "up", pid: next, runs: 2 }),
  );
  expect(objects).toContainEqual(
    expect.objectContaining({ name: null, event: "sysmgr", text: "ended" }),
  );
  await box.start();
  await text.says(/ sysmgr: started, pid \d+$/m);
  await text.says(/ sysmgr: started[\s\S]* web: up, pid \d+$/m);
  for (const each of [text, json, one]) await each.end();
});

/** Runs it with a reader that does not read; resolves to its exit code. */
async function withoutReader(box: Sandbox, args: readonly string[]): Promise<number> {
  const script = `{ svctl "$@"; echo $? >${box.dir}/code; } | :`;
  await box.run(["sh", "-c", script, "sh", ...args], {
    env: { PATH: `${BIN}:${process.env.PATH}` },
  });
  return Number(await until(() => read(`${box.dir}/code`), "svctl ends"));
}

patientScenario("watch ends when nobody reads any more, though nothing happens", async (box) => {
  await box.start();
  expect(await withoutReader(box, ["watch"])).toBe(141);
});

patientScenario(
  "logs -f ends when nobody reads any more, though nothing is written",
  async (box) => {
    makeDirectory(`${box.sysdir}/web/log/main`);
    write(`${box.sysdir}/web/log/main/current`, "");
    expect(await withoutReader(box, ["logs", "-f", "web"])).toBe(141);
  },
);

patientScenario("watch tells who waits for whom", async (box) => {
  const gate = `${box.dir}/gate`;
  box.declare("db").installDirectory(STAY, { check: `test -e ${gate}` });
  await box.start();
  const watch = new Running(box, "watch");
  await watch.waits(1);
  const web = box.declare("web");
  experienced(web);
  web.install(needing("db"));
  await watch.says(/ web: waiting for db$/m);
  write(gate, "");
  await watch.says(/ web: waits no more$/m);
  await watch.says(/ web: up, pid \d+$/m);
  await watch.end();
});

// ----------------------------------------------------------------------- logs

for (const [name, script] of [
  ["svlogd", "exec svlogd -t kept"],
  ["multilog", "exec multilog t '-*secret*' s4096 ./kept"],
  ["a shell around svlogd", "svlogd -t kept; exit"],
] as const) {
  patientScenario(
    `logs finds the directory of ${name} and follows it across rotations`,
    async (box) => {
      const [web, log] = [box.declare("web"), box.declare("web/log")];
      const gate = `${box.dir}/gate`;
      const body = `i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo "line $i"; done; trace ready
until [ -e ${gate} ]; do sleep 0.1; done
while [ $i -lt 2000 ]; do i=$((i+1)); echo "line $i"; done; echo the end; ${STAY}`;
      const setUp = `mkdir -p ${box.dir}/kept; [ -e ${box.dir}/kept/config ] || printf 's4096\\nn1000\\n' >${box.dir}/kept/config; cd ${box.dir}`;
      const env = { PATH: `${BIN}:${process.env.PATH}` };
      web.installLogged(body, log, `${setUp}\n${script.replace("s4096", "s4096 n1000")}`);
      await box.start({ env });
      await web.traced("ready");
      await log.running();
      await until(
        () => (read(`${box.dir}/kept/current`) ?? "").includes("line 20\n"),
        "it is written",
      );
      const time = "^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} ";
      const { code, out } = await box.run(["svctl", "logs", "-n", "2", "web"]);
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(new RegExp(`${time}line 19\\n.* line 20\\n$`)),
      ]);
      const follow = new Running(box, "logs", "-f", "web", "-n", "3");
      await follow.says(/line 20\n/);
      write(gate, "");
      await follow.says(/ the end\n/);
      await follow.end();
      const texts = follow.text
        .split("\n")
        .slice(0, -1)
        .map((l) => l.slice(24));
      const expected = Array.from({ length: 1983 }, (_, i) => `line ${18 + i}`);
      expect(texts).toEqual([...expected, "the end"]);
      expect(list(`${box.dir}/kept`).filter((f) => f.startsWith("@")).length).toBeGreaterThan(3);
      const all = await box.run(["svctl", "logs", `${box.sysdir}/web/log/`]);
      expect(all.out.split("\n").length).toBe(2002);
    },
  );
}

patientScenario("logs needs no sysmgr where the log is in its usual place", async (box) => {
  makeDirectory(`${box.sysdir}/web/log/main`);
  write(`${box.sysdir}/web/log/main/current`, "one\ntwo \x1b\nhalf");
  expect(await box.run(["svctl", "logs", "web"])).toEqual({
    code: 0,
    out: "one\ntwo \x1b\nhalf\n",
    err: "",
  });
  rename(`${box.sysdir}/web/log/main/current`, `${box.sysdir}/web/log/current`);
  expect((await box.run(["svctl", "logs", "-n", "1", "web"])).out).toBe("two \x1b\nhalf\n");
  expect(await box.run(["svctl", "logs", "db"])).toEqual({
    code: 1,
    out: "",
    err: "svctl: db: no log was found\n",
  });
});

// ------------------------------------------------------------------- pictures

patientScenario("graph, plot and metrics of services that need each other", async (box) => {
  const env = { PATH: `${BIN}:${process.env.PATH}` };
  box.service("db");
  const web = box.service("web", `sysmgr-depends db || exit 1\n${STAY}`);
  box.service("app", `sysmgr-depends web db || exit 1\n${STAY}`);
  const odd = box.service("a&b<\xff", "exit 3");
  await box.start({ env });
  await until(() => exists(`${box.rundir}/app/depends/web`), "app has asked");
  await until(() => exists(web.file("depends/db")), "web has asked");
  for (const name of ["app", "web", "db"]) await box.declare(name).is("up");
  await odd.is("backoff");
  const run = async (...words: string[]) => {
    const { code, out, err } = await box.run(["svctl", ...words]);
    expect([code, err]).toEqual([0, ""]);
    return out;
  };
  expect(await run("graph")).toMatch(
    /^app: up\n\|-- db: up\n`-- web: up\n {4}`-- db: up\na&b<\\xff: (backoff|starting|up)\n$/,
  );
  expect(await run("graph", "--dot")).toContain('  "web" -> "db";\n');
  for (const words of [["graph", "--svg"], ["plot"], ["plot", "--end", "60"]]) {
    const svg = Buffer.from(await run(...words), "latin1").toString("utf8");
    expect(xmlFault(svg)).toBeNull();
    expect(svg).toContain("a&amp;b&lt;\\xff</text>");
  }
  const metrics = await run("metrics");
  expect(metrics).toContain("\nsysmgr_up 1\n");
  expect(metrics).toContain('\nsysmgr_service_ready{service="web"} 1\n');
  expect(metrics).toContain('\nsysmgr_service_last_exit_code{service="a&b<\\\\xff"} 3\n');
  expect(metrics).toMatch(/\nsysmgr_service_memory_bytes\{service="db"\} \d{5,}\n/);
  expect(metrics).toMatch(/\nsysmgr_service_uptime_seconds\{service="db"\} \d+(\.\d+)?\n/);
  expect(web.status.state).toBe("up");
  if (Bun.which("promtool")) {
    const check = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: Buffer.from(metrics, "latin1"),
      stderr: "pipe",
    });
    expect([await check.stderr.text(), await check.exited]).toEqual(["", 0]);
  }
});

patientScenario("without sysmgr metrics says so, and the others fail", async (box) => {
  makeDirectory(box.rundir);
  const { code, out } = await box.run(["svctl", "metrics"]);
  expect([code, out.split("\n").at(-2)]).toEqual([0, "sysmgr_up 0"]);
  for (const word of ["top", "watch", "graph", "plot"]) {
    expect(await box.run(["svctl", word])).toEqual({
      code: 1,
      out: "",
      err: `svctl: no sysmgr works on ${box.rundir}\n`,
    });
  }
});

// ---------------------------------------------------------------------- usage

for (const word of ["top", "watch", "logs", "graph", "plot", "metrics"]) {
  patientScenario(`svctl ${word} has a usage, and refuses options that it has not`, async (box) => {
    const { code, out, err } = await box.run(["svctl", word, "-h"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toStartWith(`usage: svctl ${word}`);
    expect(out.split("\n").every((l) => l.length <= 100)).toBeTrue();
    const wrong = await box.run(["svctl", word, "--force"]);
    expect([wrong.code, wrong.out]).toEqual([2, ""]);
    const places = await box.run(["svctl", "-r", `${box.dir}/nowhere`, word, "web"]);
    expect(places.code).not.toBe(0);
  });
}

for (const args of [
  ["logs"],
  ["logs", "a", "b"],
  ["logs", "-n", "x", "a"],
  ["graph", "web"],
  ["graph", "--dot", "--svg"],
  ["plot", "--end", "0"],
  ["metrics", "web"],
  ["top", "--interval", "0"],
]) {
  patientScenario(`svctl ${args.join(" ")} is wrong usage`, async (box) => {
    const { code, out, err } = await box.run(["svctl", ...args]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(/^svctl: [^\n]+ \(svctl -h for help\)\n$/);
  });
}
