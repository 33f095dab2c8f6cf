/** chpst in the script of a service: what the program gets, below sysmgr. */
import { expect } from "bun:test";
import { read } from "../lib/files.ts";
import { BIN } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const CHAIN = `exec '${BIN}/chpst' -n 1 '${BIN}/setlock' lock sleep 3600`;

/** The line on descriptors, once the program runs. */
async function limits(pid: number): Promise<string> {
  await until(() => read(`/proc/${pid}/comm`) === "sleep\n", "the program");
  return read(`/proc/${pid}/limits`)?.match(/^Max open files +(\d+)/m)?.[1] ?? "";
}

scenario("it has the soft limit on descriptors of services, not sysmgr's own", async (box) => {
  const web = box.service("web", CHAIN.replace("lock sleep", `'${box.dir}/lock' sleep`));
  await box.start({ wrapper: ["sh", "-c", 'ulimit -Sn 321; "$@"; exit $?', "sh"] });
  expect(await limits(await web.running())).toBe("321");
});

scenario("also the one that --nofile gives", async (box) => {
  const web = box.service("web", CHAIN.replace("lock sleep", `'${box.dir}/lock' sleep`));
  await box.start({ args: ["--nofile", "123"] });
  expect(await limits(await web.running())).toBe("123");
});
