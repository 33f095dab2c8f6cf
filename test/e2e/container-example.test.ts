/** examples/container: the services of the image as engines run them, and the files for those. */
import { expect, test } from "bun:test";
import { Container, hasApplet, haveContainers } from "../lib/container.ts";
import { read } from "../lib/files.ts";
import { patientScenario } from "../lib/scenario.ts";

const EXAMPLE = `${import.meta.dir}/../../examples/container`;
const have = haveContainers && hasApplet("httpd");

/** The instructions of a Dockerfile, continued lines joined. */
function instructions(file: string): string[] {
  const text = (read(`${EXAMPLE}/${file}`) ?? "").replace(/\\\n/g, "");
  return text.split("\n").filter((line) => /^[A-Z]/.test(line));
}

/** What the image says of a variable. */
function imageEnvironment(): Record<string, string> {
  const [line = ""] = instructions("Dockerfile.debian").filter((l) => l.startsWith("ENV "));
  return Object.fromEntries(
    [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
}

const ENTRYPOINT = ["sysmgr", "--prefix", "--"];

for (const [file, httpd] of [
  ["Dockerfile.debian", undefined],
  ["Dockerfile.alpine", '"busybox-extras httpd"'],
] as const) {
  test(`${file} says what the tests here run`, () => {
    const lines = instructions(file);
    expect(lines).toContain(`ENTRYPOINT ${JSON.stringify(ENTRYPOINT).replaceAll(",", ", ")}`);
    expect(lines).toContain("STOPSIGNAL SIGTERM");
    expect(lines).toContain("USER 10001:10001");
    const environment = { RUNDIR: "/run/sysmgr", DATA: "/data", LISTEN: "0.0.0.0:8080" };
    expect(imageEnvironment()).toEqual(environment);
    const more = httpd ? ` HTTPD=${httpd}` : "";
    const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    expect(lines).toContain(`ENV ${words.join(" ")}${more}`);
    for (const script of lines.filter((line) => line.startsWith("RUN "))) {
      expect(Bun.spawnSync(["sh", "-n", "-c", script.slice(4)]).exitCode).toBe(0);
    }
  });
}

/** The image, run. */
async function run(container: Container, ...command: string[]): Promise<void> {
  await container.copy(`${EXAMPLE}/services`, "/var/sysmgr");
  container.start([...ENTRYPOINT, ...command], { uid: 10001, env: imageEnvironment() });
  await container.works();
}

patientScenario(
  "it serves, answers the probe, and stops in order",
  async (box) => {
    const container = new Container(box);
    await run(container);
    expect((await container.run("svctl", "-q", "-t", "90", "ready")).code).toBe(0);
    expect((await container.run("svctl", "-q", "ready", "web")).code).toBe(0);
    const page = await container.run("wget", "-q", "-O", "-", "http://127.0.0.1:8080/");
    expect(page).toEqual({ code: 0, out: "Hello.\n", err: "" });
    await container.says(/^worker \| web answers$/m);
    await container.signal("SIGTERM");
    expect(await container.ended()).toBe(0);
    expect(container.out).toMatch(/^worker \| done after \d+ pages$/m);
    const ends = container.err.match(/^sysmgr: (worker|web): (exited|ended) /gm);
    expect(ends?.map((line) => line.split(":")[1])).toEqual([" worker", " web"]);
  },
  have,
);

patientScenario(
  "the web server's end is its end",
  async (box) => {
    const container = new Container(box);
    await run(container);
    expect((await container.run("svctl", "-q", "-t", "90", "ready")).code).toBe(0);
    await container.run("svctl", "term", "web");
    expect(await container.ended()).toBe(128 + 15);
    expect(container.err).toMatch(/web, which is essential, ended: stopping/);
  },
  have,
);

patientScenario(
  "a main program may be a test of the image",
  async (box) => {
    const container = new Container(box);
    await run(container, "svctl", "-t", "90", "ready");
    expect(await container.ended()).toBe(0);
  },
  have,
);

/** What python's parser makes of a YAML file; null: it is not here. */
function parseYaml(file: string): unknown {
  const program =
    "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  const { exitCode, stdout } = Bun.spawnSync(["python3", "-c", program, `${EXAMPLE}/${file}`]);
  return exitCode === 0 ? JSON.parse(stdout.toString()) : null;
}

const python = Bun.which("python3") !== null;
const yaml = python && Bun.spawnSync(["python3", "-c", "import yaml"]).exitCode === 0;

test.skipIf(!yaml)("compose.yaml and pod.yaml ask for what is tested here", () => {
  expect(parseYaml("compose.yaml")).toMatchObject([
    {
      services: {
        site: {
          user: "10001:10001",
          read_only: true,
          healthcheck: { test: ["CMD", "svctl", "-q", "ready"] },
          stop_grace_period: "12s",
        },
      },
    },
  ]);
  const container = {
    securityContext: { readOnlyRootFilesystem: true },
    startupProbe: { exec: { command: ["svctl", "-q", "ready"] } },
    readinessProbe: { exec: { command: ["svctl", "-q", "ready"] } },
    livenessProbe: { exec: { command: ["svctl", "-q", "ready", "web"] } },
    volumeMounts: [
      { name: "run", mountPath: "/run" },
      { name: "data", mountPath: "/data" },
    ],
  };
  expect(parseYaml("pod.yaml")).toMatchObject([
    {
      kind: "Pod",
      spec: {
        terminationGracePeriodSeconds: 12,
        securityContext: { runAsNonRoot: true, runAsUser: 10001 },
        containers: [container],
        volumes: [{ name: "run", emptyDir: { medium: "Memory" } }, { name: "data" }],
      },
    },
  ]);
});
