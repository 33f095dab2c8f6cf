/** examples/container, init and stack are services of `make demo`: each a sysmgr below sysmgr. */
import { expect } from "bun:test";
import { hasApplet } from "../lib/container.ts";
import { exists, list } from "../lib/files.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const EXAMPLES = `${import.meta.dir}/../../examples`;

/** Starts and stops one of them, as the demo has it; says where its RUNDIR is, in words of sh. */
async function play(box: Sandbox, name: string, rundir: string): Promise<void> {
  const parts = [".common", "prepare", name].map((part) => `${EXAMPLES}/${part}`);
  expect((await box.run(["cp", "-R", ...parts, box.sysdir])).code).toBe(0);
  const before = list(`${box.sysdir}/${name}`);
  const env = { PATH: `${BIN}:${process.env.PATH}`, TMPDIR: box.dir, SVWAIT: "90" };
  const sysmgr = await box.start({ env });
  const svctl = (...words: string[]) => box.run(["svctl", "-t", "90", ...words], { env });
  expect((await svctl("status", name)).out).toMatch(/DOWN, stopped/);
  expect((await svctl("start", name)).code).toBe(0);

  const words = ["sh", "-c", `cd "$SYSDIR/${name}" && ${rundir}`];
  const inner = (await box.run(words, { env })).out.trim();
  await until(() => exists(`${inner}/pid`), "the one below works");
  const places = ["-d", `${box.sysdir}/${name}/services`, "-r", inner];
  const ready = await box.run(["svctl", ...places, "-t", "90", "ready"], { env });
  expect({ ...ready, messages: sysmgr.messages }).toMatchObject({ code: 0 });

  expect((await svctl("stop", name)).code).toBe(0);
  await until(() => !exists(`${inner}/pid`), "it has ended");
  expect(list(`${box.sysdir}/${name}`)).toEqual(before);
  if (name === "stack") await until(() => !exists(inner), "its state is removed");
}

const COMMON = `. "$SYSDIR/.common"; echo "$state`;
const isRoot = process.getuid?.() === 0;
const asPostgres = Bun.spawnSync([`${BIN}/setuidgid`, "postgres", "test", "-x", `${BIN}/sysmgr`]);
const canStack =
  exists("/usr/lib/postgresql") &&
  Bun.which("redis-server") !== null &&
  (!isRoot || asPostgres.exitCode === 0);

for (const [name, rundir, needs] of [
  ["container", `${COMMON}/container/run"`, true],
  ["init", `${COMMON}/init"`, true],
  ["stack", '. ./.state; echo "$STATE/run"', canStack],
] as const) {
  patientScenario(
    `${name} comes up, and goes without a trace`,
    (box) => play(box, name, rundir),
    hasApplet("httpd") && needs,
  );
}
