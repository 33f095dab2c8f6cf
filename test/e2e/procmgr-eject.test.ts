/** procmgr --eject: service directories that sysmgr(8) runs, and that say how. */
import { expect } from "bun:test";
import { exists, list, makeDirectory, read, write } from "../lib/files.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

function eject(box: Sandbox, text: string) {
  const conf = `${box.dir}/procmgr.cfg`;
  write(conf, text);
  return box.run(["procmgr", "-c", conf, "--eject", box.sysdir]);
}

/** As variables are: but for what the shell adds. */
const variables = (text: string) =>
  text
    .split("\n")
    .filter((v) => v !== "" && !v.startsWith("PWD="))
    .sort();

scenario("what was ejected runs, with the same environment, user and scripts", async (box) => {
  makeDirectory(`${box.dir}/trace`, 0o777);
  const [trace, path] = [
    `${box.dir}/trace`,
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ];
  const { code, err } = await eject(
    box,
    `do-autostart = boot
[prog-web]
autostart = boot
cwd = ${trace}
suid-start = 65534
sgid-start = 65534
cmd-start = env >env; id -u >id; id -G >>id; pwd >>id; exec sleep 3600
cmd-reload = echo "reload $PID '$ACTION'" >>done
cmd-signal = echo "signal $PID" >>done
cmd-stop = echo "stop $PID" >>done; kill -INT $PID
[prog-once]
allow-gid = 0
cmd-start = exec sleep 3600
`,
  );
  expect([code, err]).toEqual([0, ""]);
  const sysmgr = await box.start();
  const [web, once] = [box.declare("web"), box.declare("once")];
  await until(() => read(`${trace}/id`) === `65534\n65534\n${trace}\n`, "it runs as that user");
  await web.is("up");
  expect(variables(read(`${trace}/env`) ?? "")).toEqual(
    [`PATH=${path}`, "SHELL=/bin/sh", "PROGNAME=web", "ACTION=start", "PID="].sort(),
  );
  const { pid } = web;
  let done = "";
  for (const [command, line] of [
    ["hup", `reload ${pid} 'reload'`],
    ["usr1", `signal ${pid}`],
    ["down", `stop ${pid}`],
  ] as const) {
    await web.command(command);
    done += `${line}\n`;
    await until(() => read(`${trace}/done`) === done, `${command} has run its script`);
  }
  await web.is("down");
  expect([web.status.exit, once.status.state]).toEqual(["signal INT", "down"]);
  expect((await box.run(["svctl", "start", "once"])).code).toBe(0);
  await once.is("up");
  expect(sysmgr.count(/cannot (run|start|write)|not understood/)).toBe(0);
});

scenario("the files teach what they are, and no name or command gets out of them", async (box) => {
  const odd = "x'y\"$(touch /tmp/never)";
  const { code } = await eject(
    box,
    `allow-gid = 7\n[prog-${odd}]\nrestart-delay = 5\ncmd-start = echo 'a' "$b"\ncmd-restart = again\nuid-stop = 9\n[prog-none]\n`,
  );
  expect(code).toBe(0);
  const [name = ""] = list(box.sysdir).filter((n) => n !== "none");
  const run = read(`${box.sysdir}/${name}/run`) ?? "";
  expect(run).toMatch(/^#!\/bin\/sh\n# /);
  for (const word of [
    "sysmgr(8)",
    "restart-delay: it is started again 5 s",
    "stop uid 9",
    "#   again",
  ]) {
    expect(run).toContain(word);
  }
  expect(run.split("\n").at(-2)).toEndWith(`/bin/sh -c 'echo '\\''a'\\'' "$b"'`);
  expect((await box.run(["sh", "-n", `${box.sysdir}/${name}/run`])).code).toBe(0);
  const values = ["restart-delay", "control-group", "down"].map((file) =>
    read(`${box.sysdir}/${name}/${file}`),
  );
  expect(values).toEqual(["5\n", "7\n", "not started before `svctl start`\n"]);
  expect(read(`${box.sysdir}/none/restart`)).toBe("never\n");
  expect((await box.run(["sh", `${box.sysdir}/none/run`])).code).toBe(111);
});

scenario("nothing that is there is overwritten", async (box) => {
  makeDirectory(`${box.sysdir}/web`);
  const { code, err } = await eject(box, "[prog-web]\ncmd-start = true\n");
  expect([code, err]).toEqual([1, `procmgr: cannot write ${box.sysdir}/web: it is there\n`]);
  expect(exists(`${box.sysdir}/web/run`)).toBe(false);
});
