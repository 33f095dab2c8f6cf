/** A job as a service directory: what stands in its files. Pure. */
import { escapeBytes, quoteWord } from "../../bytes.ts";
import type { Job } from "./config.ts";

/** How jobs are run by this pmtr. */
export type Context = {
  /** The words of a command line to which chpst's options are appended. */
  readonly chpst: readonly string[];
  /** Where jobs without a `dir` run, and what their relative paths begin with. */
  readonly cwd: string;
  /** They have pmtr's own stdin, stdout and stderr, unless they say otherwise. */
  readonly inherit: boolean;
};

export type ServiceFile = { readonly text: string; readonly mode: number };
export type ServiceFiles = Readonly<Record<string, ServiceFile>>;

/** Seconds: before the start that follows a life that was shorter than this. */
export const RESTART_DELAY = 10;

/** Seconds from TERM to KILL. */
export const STOP_TIMEOUT = 5;

/** Exit status by which a job asks not to be started again. */
export const NO_RESTART = 33;

export function serviceFiles(job: Job, context: Context): ServiceFiles {
  const text = (line: string) => ({ text: `${line}\n`, mode: 0o644 });
  return {
    run: { text: runScript(job, context), mode: 0o755 },
    restart: text(job.once ? "never" : `unless ${NO_RESTART}`),
    "restart-delay": text(`${RESTART_DELAY} ${RESTART_DELAY}`),
    "stop-timeout": text(`${STOP_TIMEOUT}`),
  };
}

/** `before`: lines of sh that come first. */
export function runScript(job: Job, context: Context, before: readonly string[] = []): string {
  const toSyslog = job.out === "syslog" || job.err === "syslog";
  const lines = [
    "#!/bin/sh",
    `# Job ${escapeBytes(job.name)}.`,
    ...before,
    ...(toSyslog ? syslogLines(job.name) : []),
    ...(job.in === null && context.inherit ? INHERITED_INPUT : []),
    `cd ${quoteWord(job.dir ?? context.cwd)} || exit`,
    `exec ${commandLine(job, context)}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** A FIFO in the service directory, and a logger that reads it until the job has ended. */
function syslogLines(name: string): string[] {
  return [
    'syslog="$PWD/syslog"',
    'rm -f "$syslog" && mkfifo -m 600 "$syslog" && command -v logger >/dev/null || exit',
    `(logger -p daemon.info -t ${quoteWord(name)} <"$syslog" >/dev/null 2>&1 &)`,
  ];
}

/** Our parent is the supervisor, which has pmtr's own stdin; a socket cannot be opened so. */
const INHERITED_INPUT = ["stdin=/proc/$PPID/fd/0", '[ ! -S "$stdin" ] || stdin=/dev/null'];

/** Words and redirections of sh. */
function commandLine(job: Job, context: Context): string {
  const options = chpstOptions(job);
  const chained = options.length > 0;
  const error = destination(job.err, context);
  // What chpst has to say must not go where the job writes: it opens that file itself.
  const byChpst = chained && error !== null && error !== SYSLOG;
  const words = [
    ...(chained ? [...context.chpst, ...options] : []),
    ...(byChpst ? ["--stderr", error] : []),
    ...job.cmd,
  ];
  const redirections = [
    redirectInput(job.in, context),
    redirect(1, destination(job.out, context)),
    byChpst ? "" : redirect(2, error),
  ].filter((text) => text !== "");
  return [...words.map(quoteWord), ...redirections].join(" ");
}

function chpstOptions({ user, ulimits, cpu, nice, env }: Job): string[] {
  return [
    ...env.flatMap((variable) => ["--env", variable]),
    ...ulimits.flatMap(({ flag, value }) => ["--ulimit", `${flag}=${rawLimit(value)}`]),
    ...(cpu === null ? [] : ["--cpu", cpu]),
    ...(nice === null ? [] : ["--nice", String(nice)]),
    ...(user === null ? [] : ["-u", user]),
  ];
}

/** Soft and hard, in the kernel's unit: chpst would count in that of bash. */
function rawLimit(value: string): string {
  const raw = value === "infinity" ? value : `${value}B`;
  return `${raw}:${raw}`;
}

const SYSLOG = Symbol("syslog");

/** null: what pmtr has itself. */
function destination(file: string | null, context: Context): string | typeof SYSLOG | null {
  if (file === "syslog") return SYSLOG;
  return file ?? (context.inherit ? null : "/dev/null");
}

function redirect(fd: 1 | 2, to: string | typeof SYSLOG | null): string {
  const number = fd === 1 ? "" : "2";
  if (to === null) return "";
  if (to === SYSLOG) return `${number}>"$syslog"`;
  return to === "/dev/null" ? `${number}>/dev/null` : `${number}>>${quoteWord(to)}`;
}

function redirectInput(file: string | null, { inherit }: Context): string {
  if (file !== null) return `<${quoteWord(file)}`;
  return inherit ? '<"$stdin"' : "</dev/null";
}
