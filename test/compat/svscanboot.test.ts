/** svscanboot, in a process and mount namespace of its own. */
import { expect } from "bun:test";
import { allStats } from "../../src/proc.ts";
import { exists, makeDirectory, read } from "../lib/files.ts";
import {
  FrontEnd,
  have as originals,
  printsUsage,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { environment } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const PLACE = "/etc/service";

scenario(
  "runs svscan, with what is said to it in the arguments of readproctitle",
  async (box) => {
    const dir = `${box.dir}/service`;
    makeDirectory(dir);
    const web = new Supervised(
      serviceDirectory(
        dir,
        "web",
        `env >${box.dir}/env; echo "services say this" >&2; exec sleep 3600`,
      ),
    );
    const script = `mount --bind "$0" ${PLACE}/ && exec "$1"`;
    const namespaces = ["/usr/bin/unshare", "-fpm", "--mount-proc", "--kill-child"];
    const command = [...namespaces, "sh", "-c", script, dir, `${BIN}/svscanboot`];
    const boot = FrontEnd.start(box, command, { env: { ODD: "variable" } });
    await until(() => web.stat === "run", "its service runs");
    await until(() => web.flags === "18 pid 0 117", "its status is told");
    const commands = () =>
      allStats().map(({ pid }) => ({
        pid,
        words: (read(`/proc/${pid}/cmdline`) ?? "").split("\0"),
      }));
    const title = () =>
      commands().find(({ words }) => words[0] === "readproctitle" && words[3]?.length === 400);
    await until(() => title()?.words[3]?.endsWith("services say this\n"), "it is shown");
    expect(title()?.words.slice(0, 3)).toEqual(["readproctitle", "service", "errors:"]);
    const variables = (read(`${box.dir}/env`) ?? "").split("\n").map((v) => v.split("=")[0]);
    expect(variables.sort()).toEqual(
      ["", "PATH", "PWD", "RUNDIR", "SYSDIR", "SYSMGR_SERVICE"].sort(),
    );
    const svscan = commands().find(({ words }) => words.join(" ") === `svscan ${PLACE} `);
    expect(environment(svscan?.pid ?? 0).find((v) => v.startsWith("ODD"))).toBeUndefined();
    expect(boot.messages).toBe("");
    await boot.end("SIGKILL");
    await until(() => !title(), "all of it is dead");
  },
  have.pidns && have.mounts && exists(`${PLACE}/`),
);

scenario(
  "a supervise that was left there is told to stop its service, and to go",
  async (box) => {
    const dir = `${box.dir}/service`;
    makeDirectory(dir);
    const run = `echo "$SYSMGR_SERVICE" >>${box.dir}/starts; exec sleep 3600`;
    const web = new Supervised(serviceDirectory(dir, "web", run));
    const script = `mount --bind "$0" ${PLACE}/ && { supervise ${PLACE}/web & } &&
      until [ -s ${box.dir}/starts ]; do sleep 0.1; done && exec "$1"`;
    const namespaces = ["/usr/bin/unshare", "-fpm", "--mount-proc", "--kill-child"];
    const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" };
    const command = [...namespaces, "sh", "-c", script, dir, `${BIN}/svscanboot`];
    const boot = FrontEnd.start(box, command, { env });
    await until(() => read(`${box.dir}/starts`) === "\nweb\n", "ours has started it, too");
    await until(() => web.file("sysmgr") !== null, "ours serves it");
    await boot.end("SIGKILL");
  },
  have.pidns && have.mounts && exists(`${PLACE}/`) && originals.daemontools,
);

printsUsage("svscanboot", "svscanboot");
