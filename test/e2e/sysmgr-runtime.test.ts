/** What the runtime below sysmgr would let in from outside, or out to services. */
import { expect } from "bun:test";
import { exists, write } from "../lib/files.ts";
import { descriptors, environment, environmentWith } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

/** A file that leaves a trace if the runtime ever runs it. */
function bait(box: Sandbox): string {
  const path = `${box.dir}/bait.ts`;
  write(path, `require("fs").writeFileSync("${box.dir}/caught", "");`);
  return path;
}

scenario("a hostile .env and bunfig.toml where it is started do nothing", async (box) => {
  const web = box.service("web");
  const trap = bait(box);
  const files = {
    ".env": "SYSDIR=/nonexistent\nRUNDIR=/nonexistent\nEVIL=1\nBUN_OPTIONS=--preload=./bait.ts\n",
    ".env.local": "EVIL=2\n",
    ".env.production": "EVIL=3\n",
    "bunfig.toml": `preload = ["${trap}"]\n[run]\npreload = ["${trap}"]\n`,
    "package.json": `{ "type": "commonjs", "imports": { "#x": "./bait.ts" }, "main": "bait.ts" }`,
    "tsconfig.json": `{ "compilerOptions": { "paths": { "*": ["./bait.ts"] } } }`,
    ".npmrc": "registry=http://localhost:1/\n",
  };
  for (const [name, text] of Object.entries(files)) write(`${box.dir}/${name}`, text);
  await box.start({ cwd: box.dir });
  const found = await environmentWith(await web.running(), `SYSDIR=${box.sysdir}`);
  expect(found.filter((v) => v.startsWith("EVIL=") || v.startsWith("BUN_"))).toEqual([]);
  for (const program of ["svctl", "sysmgr-depends", "runsyssv"]) {
    await box.run([program, "-h"], { cwd: box.dir });
  }
  expect(exists(`${box.dir}/caught`)).toBeFalse();
});

scenario("BUN_OPTIONS with a preload is refused, or does nothing", async (box) => {
  const trap = bait(box);
  for (const option of [
    `--preload ${trap}`,
    `--preload=${trap}`,
    `-r ${trap}`,
    `--import=${trap}`,
  ]) {
    const { code, out } = await box.run(["sysmgr", "-V"], { env: { BUN_OPTIONS: option } });
    expect(code === 0 ? out : "sysmgr ").toStartWith("sysmgr ");
    expect(exists(`${box.dir}/caught`)).toBeFalse();
  }
});

scenario("services get no variable of the runtime's and no descriptor of sysmgr's", async (box) => {
  const [web, db] = [box.service("web"), box.service("db", "exec sleep 3600")];
  const env = { BUN_INSTALL: "/x", BUN_GARBAGE: "1", BUNNY: "is mine", NODE_ENV: "x" };
  const sysmgr = await box.start({ env });
  for (const service of [web, db]) {
    const pid = await service.running();
    const all = await environmentWith(pid, `SYSDIR=${box.sysdir}`);
    const found = all.filter((v) => v.startsWith("BUN"));
    expect(found).toEqual(["BUNNY=is mine"]);
    // Its loader has a library open for a moment.
    const open = () => [...descriptors(pid).keys()].sort().join();
    await until(() => open() === "0,1,2", "it has its standard streams only");
  }
  expect(environment(sysmgr.pid).filter((v) => v.startsWith("BUN_GARBAGE"))).toEqual([]);
});

scenario(
  "what sysmgr was started with is not read from the environment of the runtime",
  async (box) => {
    const web = box.service("web");
    await box.start({ env: { NODE_OPTIONS: `--require ${bait(box)}`, NODE_PATH: box.dir } });
    await web.running();
    expect(exists(`${box.dir}/caught`)).toBeFalse();
  },
);
