// supervisor (Python): supervisord, supervisorctl.
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installed, type Peer, type Place, writeScript } from "../peer.ts";

const conf = (place: Place): string => join(place.state, "supervisord.conf");
const ctl = (place: Place, ...rest: string[]): string[] => [
  "supervisorctl",
  "-c",
  conf(place),
  ...rest,
];

export const supervisord: Peer = {
  name: "supervisord",
  how: {
    control: "supervisorctl stop, start (both wait until it is so)",
    status: "supervisorctl status",
    new: "[program] file moved into place, then supervisorctl update",
    shutdown: "SIGTERM; all programs are in one group, else it stops them one by one",
  },
  version() {
    if (!installed("supervisord", "supervisorctl")) return undefined;
    return Bun.spawnSync(["supervisord", "--version"]).stdout.toString().trim();
  },
  prepare(place, names) {
    const lines = [
      "[supervisord]",
      "nodaemon=true",
      "logfile=/dev/null",
      "logfile_maxbytes=0",
      `pidfile=${join(place.state, "pid")}`,
      `childlogdir=${place.state}`,
      // Three descriptors per program; it closes that many in each child, so no more than needed.
      `minfds=${Math.max(1024, 4 * names.length + 200)}`,
      "[unix_http_server]",
      `file=${join(place.state, "socket")}`,
      "[rpcinterface:supervisor]",
      "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
      "[supervisorctl]",
      `serverurl=unix://${join(place.state, "socket")}`,
      // Without a group it stops one program after the other, each within a second or so.
      "[group:all]",
      `programs=${names.join(",")}`,
      "[include]",
      `files=${join(place.services, "*.ini")}`,
    ];
    writeFileSync(conf(place), `${lines.join("\n")}\n`);
  },
  stage(place, name) {
    const script = join(place.state, name);
    const staged = join(place.staging, name);
    writeScript(script, place, name);
    const section = [
      `[program:${name}]`,
      `command=${script}`,
      "autorestart=true",
      "redirect_stderr=true",
      "stdout_logfile=NONE",
    ];
    writeFileSync(staged, `${section.join("\n")}\n`);
    return () => {
      renameSync(staged, join(place.services, `${name}.ini`));
      return ctl(place, "update");
    };
  },
  run: (place) => ["supervisord", "-n", "-c", conf(place)],
  stop: (place, name) => ctl(place, "stop", `all:${name}`),
  start: (place, name) => ctl(place, "start", `all:${name}`),
  status: (place) => ctl(place, "status"),
  shutdown: "SIGTERM",
};
