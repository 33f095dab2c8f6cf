/**
 * sysmgr as the first program of a container: PID 1, with nothing around it but busybox and the
 * libraries that it needs, on a read-only root, as root and as a user whom nobody knows.
 */
import { expect, test } from "bun:test";
import { basename } from "../../src/bytes.ts";
import { Container, haveContainers, libraries } from "../lib/container.ts";
import { children } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const USERS = [
  ["root", 0],
  ["a user that nobody knows", 54321],
] as const;

/** A main program that is up until it is told to end, and says so. */
const MAIN = ["sh", "-c", "trap 'echo bye; exit 7' TERM; echo hello; while :; do sleep 0.1; done"];

test("the binary needs the C library, and nothing else", () => {
  const names = libraries(`${BIN}/sysmgr`).map((path) => basename(path).replace(/[-.].*/, ""));
  expect(names.length).toBeGreaterThan(0);
  const libc = ["ld", "libc", "libdl", "libm", "libpthread"];
  expect(names.filter((name) => !libc.includes(name))).toEqual([]);
});

for (const [who, uid] of USERS) {
  patientScenario(
    `as ${who}: output is prefixed, probes are answered, TERM ends all with the main program's status`,
    async (box) => {
      const container = new Container(box);
      container.service("web", "echo listening; echo oops >&2; exec sleep 3600");
      container.service("worker", "sysmgr-depends web || exit; echo works; exec sleep 3600");
      container.service("deaf", "trap '' TERM; while :; do sleep 3600; done");
      container.start(["sysmgr", "--prefix", "--", ...MAIN], { uid });
      await container.says(/^hello$/m);
      expect(await container.run("svctl", "-t", "90", "ready")).toMatchObject({ code: 0, out: "" });
      await container.says(/^web \| listening$/m);
      await container.says(/^worker \| works$/m);
      expect(container.out.split("\n").sort()).toEqual(
        ["", "hello", "web | listening", "worker | works"].sort(),
      );
      await container.says(/^web \| oops$/m);
      // Nobody else could change what is so.
      expect((await container.run("ls", "-ln", "/run")).out).toMatch(
        new RegExp(`drwxr-xr-x +\\d+ ${uid} +${uid} .* sysmgr\n`),
      );
      await container.signal("SIGTERM");
      expect(await container.ended()).toBe(7);
      expect(container.out).toMatch(/^bye$/m);
      expect(container.err).toMatch(/all stopped after/);
      expect(container.err).not.toMatch(/internal error|cannot/);
    },
    haveContainers,
  );

  patientScenario(
    `as ${who}: what loses its parent is reaped, and what runs on ends with the container`,
    async (box) => {
      const container = new Container(box);
      container.service(
        "web",
        "i=0; while [ $i -lt 50 ]; do (sleep 0.1 &); i=$((i + 1)); done\nexec sleep 3600",
      );
      const orphan = "(setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &)";
      container.start(["sysmgr", "--", "sh", "-c", `${orphan}; exec sleep 3600`], { uid });
      await container.works();
      const init = await container.init();
      const below = () => children(init).map((p) => p.state);
      await until(() => below().length === 3 && !below().includes("Z"), "two, and the orphan");
      await container.signal("SIGTERM");
      expect(await container.ended()).toBe(128 + 15);
    },
    haveContainers,
  );

  patientScenario(
    `as ${who}: a main program's end, an essential service's, and svctl shutdown end it`,
    async (box) => {
      const container = new Container(box);
      container.service("web", "until svctl -q ready db; do sleep 0.1; done\nexit 5");
      container.service("db", "exec sleep 3600");
      container.start(["sysmgr", "-q", "--", "sh", "-c", "svctl -t 90 ready db && exit 3"], {
        uid,
      });
      expect(await container.ended()).toBe(3);
      container.start(["sysmgr", "-q"], { uid, env: { SYSMGR_ESSENTIAL: "web" } });
      expect(await container.ended()).toBe(5);
      container.start(["sysmgr", "-q", "--", "sh", "-c", "svctl shutdown 9; exec sleep 3600"], {
        uid,
      });
      expect(await container.ended()).toBe(9);
    },
    haveContainers,
  );

  patientScenario(
    `as ${who}: an upgrade keeps it PID 1, and its services`,
    async (box) => {
      const container = new Container(box);
      container.service("web", "echo started; exec sleep 3600");
      container.start(["sysmgr", "--prefix", "--", ...MAIN], { uid });
      await container.works();
      await container.says(/^hello$/m);
      expect((await container.run("svctl", "-t", "90", "ready")).code).toBe(0);
      expect((await container.run("svctl", "upgrade")).code).toBe(0);
      await container.says(/took over 1 running services/);
      await container.signal("SIGTERM");
      expect(await container.ended()).toBe(7);
      expect(container.out.match(/^web \| started$/gm)).toHaveLength(1);
    },
    haveContainers,
  );
}

patientScenario(
  "a RUNDIR that is another's is refused: what is mounted is to be above it",
  async (box) => {
    const container = new Container(box);
    // As Kubernetes makes it for an fsGroup.
    const run = "mode=2777,uid=0,gid=54321";
    container.start(["sysmgr", "-r", "/run"], { uid: 54321, run });
    expect(await container.ended()).toBe(1);
    expect(container.err).toBe("sysmgr: cannot use /run: it belongs to uid 0\n");
    container.start(["sysmgr", "--", "true"], { uid: 54321, run });
    expect(await container.ended()).toBe(0);
  },
  haveContainers,
);
