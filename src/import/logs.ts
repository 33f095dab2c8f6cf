/**
 * Where the output of a process goes: redirections in its run script, and a logger. A service has
 * one logger, so of two files with a size only one can be kept by svlogd(8); the other one is
 * appended to. Pure.
 */
import { quoteWord } from "../bytes.ts";
import { AUTO, type Log, type Process } from "./program.ts";

export type Logger =
  /** path null: in the service directory. */
  | { readonly by: "svlogd"; readonly path: string | null; readonly log: Log }
  | { readonly by: "syslog" };

export type Output = {
  /** For `exec` of sh; nothing if there is nothing to redirect. */
  readonly redirections: string;
  readonly logger: Logger | null;
};

/** Says of an option what becomes of it. */
export type Say = (kind: "lost" | "note", option: string, text: string) => void;

type Stream = "stdout" | "stderr";

type Destination =
  | { readonly to: Stream | "nowhere" }
  | { readonly to: "file"; readonly path: string }
  | { readonly to: "logger"; readonly logger: Logger; readonly path: string | null };

/** What a file is in the end. */
export type Resolve = {
  /** Makes a path absolute; `option` says where it stands. */
  readonly path: (file: string, option: string) => string;
  /** Set if other processes have that file, too: one svlogd has a directory for itself. */
  readonly own: (path: string) => string | null;
};

export function outputOf(process: Process, say: Say, resolve: Resolve): Output {
  const stdout = destination("stdout", process.stdout, resolve, say);
  if (process.redirectStderr) {
    const file = process.stderr.file;
    if (file !== AUTO && file !== null) {
      say("note", "stderr_logfile", "of no effect with redirect_stderr");
    }
    return withLogger(stdout, "2>&1");
  }
  const stderr = destination("stderr", process.stderr, resolve, say);
  if (stdout.to === "logger") return besideLogger(stdout, stderr, say);
  if (stderr.to === "logger") return loggerOfStderr(stdout, stderr, say);
  // What standard output is now has to be copied before it is another file.
  const words =
    stderr.to === "stdout"
      ? ["2>&1", redirection("stdout", stdout)]
      : [redirection("stdout", stdout), redirection("stderr", stderr)];
  return { redirections: joined(...words), logger: null };
}

function destination(stream: Stream, log: Log, resolve: Resolve, say: Say): Destination {
  const option = `${stream}_logfile`;
  const { file, maxBytes } = log;
  if (log.syslog) {
    if (file !== null && file !== AUTO) {
      say("lost", `${stream}_syslog`, `the system log only, and not ${file}`);
    }
    return { to: "logger", logger: { by: "syslog" }, path: null };
  }
  if (file === null || file === "" || file === "/dev/null") return { to: "nowhere" };
  if (file === AUTO) {
    return { to: "logger", logger: { by: "svlogd", path: null, log }, path: null };
  }
  if (/^\/(dev|proc\/self)\/(stdout|fd\/1)$/.test(file)) return { to: "stdout" };
  if (/^\/(dev|proc\/self)\/(stderr|fd\/2)$/.test(file)) return { to: "stderr" };
  const path = resolve.path(file, option);
  if (maxBytes <= 0 || /^\/dev\/(?!shm\/)/.test(path)) return { to: "file", path };
  const own = resolve.own(path);
  const directory = own === null ? `${path}.d` : `${path}.d/${own}`;
  const shown = own === null ? `the log is ${directory}` : `there is a log for each, ${path}.d/*`;
  say("note", option, `${shown}/current, kept by svlogd(8)`);
  return { to: "logger", logger: { by: "svlogd", path: directory, log }, path };
}

function withLogger(stdout: Destination, stderr: string): Output {
  const logger = stdout.to === "logger" ? stdout.logger : null;
  return { redirections: joined(redirection("stdout", stdout), stderr), logger };
}

type ToLogger = Destination & { readonly to: "logger" };

/** Standard output has the logger. */
function besideLogger(stdout: ToLogger, stderr: Destination, say: Say): Output {
  if (stderr.to === "stdout") {
    say("lost", "stderr_logfile", "standard error of sysmgr: standard output goes to a logger");
    return withLogger(stdout, "");
  }
  if (stderr.to !== "logger") return withLogger(stdout, redirection("stderr", stderr));
  const same = stderr.path === stdout.path && stderr.logger.by === stdout.logger.by;
  if (same || stderr.path === null) {
    if (!same && stderr.logger.by === "syslog") {
      say("lost", "stderr_syslog", "in the log of standard output: a service has one logger");
    }
    return withLogger(stdout, "2>&1");
  }
  return withLogger(stdout, appended(stderr.path, say));
}

/** Standard error has it, if standard output need not stay that of sysmgr: it would be the pipe. */
function loggerOfStderr(stdout: Destination, stderr: ToLogger, say: Say): Output {
  if (stdout.to === "nowhere" || stdout.to === "file") {
    const redirections = joined("2>&1", redirection("stdout", stdout));
    return { redirections, logger: stderr.logger };
  }
  if (stderr.path !== null) return withLogger(stdout, appended(stderr.path, say));
  const where = "standard error of sysmgr, as standard output is that of sysmgr";
  if (stderr.logger.by === "syslog") say("lost", "stderr_syslog", where);
  else say("note", "stderr_logfile", where);
  return withLogger(stdout, "");
}

/** A file with a size that no logger keeps. */
function appended(path: string, say: Say): string {
  const text = `${path} is appended to and never rotated: a service has one logger`;
  say("lost", "stderr_logfile", text);
  return redirection("stderr", { to: "file", path });
}

function redirection(stream: Stream, { to, ...rest }: Destination): string {
  const number = stream === "stdout" ? "" : "2";
  if (to === "nowhere") return `${number}>/dev/null`;
  if (to === "file" && "path" in rest) return `${number}>>${quoteWord(rest.path ?? "")}`;
  if (to === "logger" || to === stream) return "";
  return to === "stdout" ? "2>&1" : ">&2";
}

function joined(...words: string[]): string {
  return words.filter((word) => word !== "").join(" ");
}
