/** A process as a service directory: what stands in its files, and what is lost. Pure. */
import { escapeBytes } from "../bytes.ts";
import { encodeName } from "../compat/pmtr/names.ts";
import { signalName } from "../libc.ts";
import type { Account, Accounts } from "./accounts.ts";
import { type Config, NO_ORDER } from "./config.ts";
import { outputOf, type Say } from "./logs.ts";
import { Places } from "./places.ts";
import type { Process } from "./program.ts";
import { finishScript, loggerFiles, runScript, stopScript } from "./scripts.ts";

export type ServiceFile = {
  readonly text: string;
  readonly mode: number;
  /** The group that it is to have, where that matters. */
  readonly gid?: number;
};

/** By their paths in the service directory. */
export type ServiceFiles = Readonly<Record<string, ServiceFile>>;

export type Context = {
  readonly accounts: Accounts;
  /** How our chpst(8) is called. */
  readonly chpst: string;
  /** Who calls us, if that is not root. */
  readonly ownUid: number | null;
  readonly home: string;
  /** The file is not for everybody: neither is what was made of it. */
  readonly secret: boolean;
};

/** As supervisorctl names it, with a dot; the group is left out where the name tells it. */
export function serviceName({ group, name }: Process): string {
  return encodeName(name.startsWith(group) ? name : `${group}.${name}`);
}

/** `shared`: log files of more than one process (sharedLogs). */
export function serviceFiles(
  process: Process,
  config: Config,
  context: Context,
  shared: ReadonlySet<string>,
): ServiceFiles {
  const { options } = process;
  const say: Say = (kind, option, text) => options.remark(kind, option, text);
  sayLosses(process, say);
  const { supervisor, controlGroup } = config;
  const places = new Places(supervisor, context.home, context.accounts, say);
  const directory = places.directory(process);
  const output = outputOf(process, say, {
    path: (file, option) => places.file(file, option),
    own: (path) => (shared.has(path) ? serviceName(process) : null),
  });
  const self = accountOf(supervisor.user, supervisor.options, context);
  const own = accountOf(process.user, options, context);
  // supervisord could not: who has become somebody else can become nobody else.
  const account = own ?? self;
  // Who calls us is that user already, but root may run it: then all of it is done as that one.
  const asWhole = account?.name === self?.name || account?.uid === context.ownUid;
  const run = runScript({
    title: `[program:${escapeBytes(process.program)}]`,
    place: options.section.place,
    self: asWhole ? account : null,
    user: asWhole ? null : account,
    environment: new Map([...supervisor.environment, ...process.environment]),
    umask: process.umask ?? supervisor.umask,
    descriptors: supervisor.descriptors,
    directory,
    redirections: output.redirections,
    command: process.command,
    chpst: context.chpst,
    tellsGroup: process.killAsGroup,
  });
  return present({
    run: { text: run, ...accessTo(asWhole ? account : null, context) },
    finish: program(finishScript(process)),
    ...controlOf(process, say),
    ...settingsOf(process, controlGroup),
    ...(output.logger ? loggerFiles(output.logger, process, self, context.chpst) : {}),
  });
}

/** The script starts itself again as that user, who has to read it. */
function accessTo(account: Account | null, { secret }: Context) {
  if (!secret) return { mode: 0o755 };
  return account && account.uid >= 0 ? { mode: 0o750, gid: account.gid } : { mode: 0o700 };
}

/** Paths of log files that several processes write to. */
export function sharedLogs(config: Config, { home, accounts }: Context): Set<string> {
  const places = new Places(config.supervisor, home, accounts, () => {});
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const { stdout, stderr, redirectStderr } of config.processes) {
    const files = [stdout.file, redirectStderr ? null : stderr.file].filter((f) => f !== null);
    for (const path of new Set(files.map((file) => places.file(file, "")))) {
      if (seen.has(path)) shared.add(path);
      seen.add(path);
    }
  }
  return shared;
}

function program(text: string | null): ServiceFile | false {
  return text !== null && { text, mode: 0o755 };
}

/** What is run in place of the stop signal. */
function controlOf(process: Process, say: Say) {
  const letter = LETTERS[signalName(process.stopSignal)];
  if (letter !== undefined) return { [`control/${letter}`]: program(stopScript(process)) };
  if (process.stopAsGroup) {
    say("lost", "stopasgroup", "that signal goes to the main process only");
  }
  return {};
}

/** Seconds, of which sysmgr takes eight digits: three years. */
const LONGEST = 99_999_999;

/** What settings files say; each is one line. */
function settingsOf(process: Process, controlGroup: string | null) {
  const line = (text: string | number | false | null) =>
    text !== false && text !== null && { text: `${text}\n`, mode: 0o644 };
  const { stopSignal, stopSeconds, startSeconds, startRetries } = process;
  const pause = Math.min(30, Math.max(1, startRetries));
  return {
    restart: line(restartOf(process)),
    "restart-delay": line(startSeconds > 1 && `${pause} ${Math.min(startSeconds, LONGEST)}`),
    "stop-signal": line(stopSignal !== 15 && signalName(stopSignal)),
    "stop-timeout": line(Math.min(Math.max(0, stopSeconds), LONGEST)),
    down: line(!process.autostart && "autostart: it is started by svctl start only."),
    "control-group": line(controlGroup),
  };
}

function restartOf({ autorestart, exitCodes }: Process): string | false {
  if (autorestart === "never") return "never";
  if (autorestart !== "unexpected" || exitCodes.length === 0) return false;
  const codes = [...new Set(exitCodes)].join(" ");
  return codes === "0" ? "on-failure" : `unless ${codes}`;
}

function present(files: Record<string, ServiceFile | false>): ServiceFiles {
  return Object.fromEntries(
    Object.entries(files).filter((entry): entry is [string, ServiceFile] => entry[1] !== false),
  );
}

/** Longer than this nothing lives on when sysmgr itself ends. */
const SHUTDOWN_SECONDS = 7;

function sayLosses(process: Process, say: Say): void {
  const { options, stopSeconds, startRetries, events, autorestart } = process;
  if (options.has("priority")) say("lost", "priority", NO_ORDER);
  if (options.has("startretries") && autorestart !== "never") {
    const text = `not ${startRetries} times, but always: sysmgr never gives up; it makes pauses`;
    say("lost", "startretries", text);
  } else if (options.has("startretries") && startRetries > 0) {
    say("lost", "startretries", "with autorestart=false a start that fails is not tried again");
  }
  if (options.has("stopwaitsecs") && stopSeconds > SHUTDOWN_SECONDS) {
    const text = `when sysmgr itself ends, KILL comes after ${SHUTDOWN_SECONDS} seconds`;
    say("lost", "stopwaitsecs", text);
  }
  if (autorestart === "unexpected" && process.exitCodes.some((code) => code !== 0)) {
    const text = "for svctl ready and sysmgr-depends -f only 0 is a success";
    say("note", "exitcodes", text);
  }
  for (const option of events) say("lost", option, "there are no events of what services write");
  const words = [...process.command, ...process.environment.values()].join(" ");
  const variable = words.match(/\bSUPERVISOR_[A-Z_]+/)?.[0];
  if (variable !== undefined) {
    const option = process.command.join(" ").includes(variable) ? "command" : "environment";
    say("lost", option, `${variable} is not set here; SYSMGR_SERVICE is`);
  }
}

/** runit's letters for the signals that a program in control/ can stand for. */
const LETTERS: Readonly<Record<string, string>> = {
  TERM: "t",
  HUP: "h",
  ALRM: "a",
  INT: "i",
  QUIT: "q",
  USR1: "1",
  USR2: "2",
  KILL: "k",
  STOP: "p",
  CONT: "c",
};

function accountOf(
  user: string | null,
  options: Process["options"],
  { accounts, ownUid }: Context,
): Account | null {
  if (user === null) return null;
  const found = accounts.find(user);
  if (!found) {
    const text = `there is no user ${user} here: which groups it is in is not known`;
    options.remark("lost", "user", text);
    return { name: user, uid: -1, gid: -1, home: "", groups: [] };
  }
  // For root there is nothing to become.
  return found.uid === 0 && ownUid === null ? null : found;
}
