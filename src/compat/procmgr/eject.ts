/** The way to services of one's own: each program as a service directory for sysmgr(8), with comments that teach. */
import { ACTION_PATH, ACTION_SHELL, RUNDIR } from "../../../config.ts";
import { quoteWord } from "../../bytes.ts";
import { Failure } from "../../cli.ts";
import { createFile, makeDirectory } from "../../files.ts";
import * as libc from "../../libc.ts";
import type { Action, Config, Program } from "./config.ts";
import { serviceName } from "./services.ts";

type File = { readonly text: string; readonly mode: number };
type Files = Readonly<Record<string, File>>;

/** Writes them into a directory, where none of them may be yet. Throws Failure. */
export function eject(dir: string, config: Config, chpst: string): void {
  must(makeDirectory(dir, 0o755), "make", dir);
  for (const program of config.programs.values()) {
    const name = serviceName(program.name);
    const path = `${dir}/${name}`;
    if (typeof libc.lstat(path) !== "number") {
      throw new Failure(`cannot write ${path}: it is there`);
    }
    // Complete before it can be seen: sysmgr may run on that directory.
    const staged = `${dir}/.${name}`;
    for (const made of [staged, `${staged}/control`]) {
      must(libc.mkdirat(libc.AT_FDCWD, made, 0o755), "make", made);
    }
    for (const [file, { text, mode }] of Object.entries(ejected(program, config, chpst))) {
      must(createFile(`${staged}/${file}`, text, mode), "write", `${staged}/${file}`);
    }
    must(libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, path), "make", path);
  }
}

function must(code: number, verb: string, path: string): void {
  if (code < 0) throw new Failure(`cannot ${verb} ${path}: ${libc.strerror(code)}`);
}

/** The files of one program's service. */
export function ejected(program: Program, config: Config, chpst: string): Files {
  const { commands, restartDelay, autostart } = program;
  const starts = config.doAutostart !== null && autostart.includes(config.doAutostart);
  const group = controlGroup(program);
  const script = (action: Action, lines: readonly string[]) => {
    const all = [
      "#!/bin/sh",
      ...lines,
      ...pidLines(program, action),
      commandLine(program, action, chpst),
    ];
    return { text: `${all.join("\n")}\n`, mode: 0o755 };
  };
  const value = (text: string) => ({ text: `${text}\n`, mode: 0o644 });
  return {
    run: script("start", teachRun(program)),
    ...(restartDelay === null
      ? { restart: value("never") }
      : { "restart-delay": value(`${restartDelay}`) }),
    ...(starts ? {} : { down: value("not started before `svctl start`") }),
    ...(group === null ? {} : { "control-group": value(`${group}`) }),
    ...(commands.stop === undefined ? {} : { "control/t": script("stop", teach("stop")) }),
    ...(commands.reload === undefined ? {} : { "control/h": script("reload", teach("reload")) }),
    ...(commands.signal === undefined ? {} : { "control/1": script("signal", teach("signal")) }),
    ...(commands.status === undefined ? {} : { status: script("status", teach("status")) }),
  };
}

/** The group that may do everything there, if it is the same for every action. */
function controlGroup({ allowed }: Program): number | null {
  const [first = null, ...others] = Object.values(allowed).map(({ gid }) => gid);
  return others.every((gid) => gid === first) ? first : null;
}

function teachRun(program: Program): string[] {
  const { commands, restartDelay, allowed } = program;
  const users = Object.entries(allowed).filter(([, { uid }]) => uid !== null);
  const named = users.map(([action, { uid }]) => `${action} uid ${uid}`).join(", ");
  const has = (action: Action, ...lines: string[]) => (commands[action] === undefined ? [] : lines);
  const lines = [
    `${shown(program.name)}, from procmgr.cfg.`,
    "",
    "This file is the service: sysmgr(8) runs it in this directory, and it becomes the program, as",
    "its last line begins with exec. Other files say more (sysmgr(8), Service directories):",
    restartDelay === null
      ? "restart holds never: it is not started again when it ends."
      : `restart-delay: it is started again ${restartDelay} s after it has ended.`,
    "down, if it is there: it is started by `svctl start` only.",
    ...has("stop", "control/t stands for TERM: it runs in place of it, for `svctl stop`."),
    ...has("reload", "control/h stands for HUP: `svctl hup` is what reload was."),
    ...has("signal", "control/1 stands for USR1: `svctl usr1` is what signal was."),
    "control-group, if it is there: the group whose members may control it. There is no such thing",
    "for users: make a group for them.",
    ...(named === "" ? [] : [`procmgr allowed: ${named}.`]),
    ...has("status", "status is for people: run it by hand. `svctl status` does not know it."),
    "An action takes no arguments here, and writes where sysmgr does.",
    ...has("restart", "`svctl restart` stops it and starts it again. procmgr had this for it:"),
    ...has("restart", `  ${shown(commands.restart ?? "")}`),
    "Changes count at the next start: `svctl restart`.",
  ];
  return lines.map((line) => `# ${line}`.trimEnd());
}

function teach(action: Action): string[] {
  return [`# The ${action} of procmgr. sysmgr(8) runs it in this directory, for at most 5 s.`];
}

/** In a comment: on one line, whatever it is. */
function shown(text: string): string {
  return text.replace(/[\r\n]/g, "?");
}

/** `status` may be run by hand, where the variables are not set. */
function pidLines({ name }: Program, action: Action): string[] {
  if (action === "start") return [];
  const service = `\${SYSMGR_SERVICE:-${serviceName(name).replace(/[^\w.,%@+=-]/g, "?")}}`;
  return [`PID=$(cat "\${RUNDIR:-${RUNDIR}}/${service}/pid" 2>/dev/null)`];
}

/** The environment of procmgr, and nothing else; as that user. */
function commandLine(program: Program, action: Action, chpst: string): string {
  const command = program.commands[action];
  if (command === undefined) return `echo 'there is no cmd-${action}' >&2; exit 111`;
  const { uid, gid } = program.runAs[action];
  const account = [uid ?? "$(id -u)", gid ?? "$(id -g)"].join(":");
  const variables = [
    `PATH=${ACTION_PATH}`,
    `SHELL=${ACTION_SHELL}`,
    `PROGNAME=${program.name}`,
    `ACTION=${action}`,
  ];
  const words = [
    "exec",
    quoteWord(chpst),
    "--clear-env",
    ...variables.map((v) => `--env ${quoteWord(v)}`),
    `--env PID=${action === "start" ? "" : '"$PID"'}`,
    `--chdir ${quoteWord(program.cwd)}`,
    ...(uid === null && gid === null ? [] : [`-u ":${account}"`]),
    ACTION_SHELL,
    "-c",
    quoteWord(command),
  ];
  return words.join(" ");
}
