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

export type ServiceFile = { readonly text: string; readonly mode: number };

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

export function serviceFiles(process: Process, config: Config, context: Context): ServiceFiles {
  const { options } = process;
  const say: Say = (kind, option, text) => options.remark(kind, option, text);
  sayLosses(process, say);
  const { supervisor, controlGroup, sharedLogs } = config;
  const places = new Places(supervisor, context.home, context.accounts, say);
  const directory = places.directory(process);
  const output = outputOf(process, say, {
    path: (file, option) => places.file(file, option),
    own: (file) => (sharedLogs.has(file) ? serviceName(process) : null),
  });
  const self = accountOf(supervisor.user, supervisor.options, context);
  const own = accountOf(process.user, options, context);
  // supervisord could not: who has become somebody else can become nobody else.
  const other = own !== null && own.name !== self?.name;
  const run = runScript({
    title: `[program:${escapeBytes(process.program)}]`,
    place: options.section.place,
    self: other ? null : self,
    user: other ? own : null,
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
    run: { text: run, mode: context.secret ? 0o700 : 0o755 },
    finish: program(finishScript(process)),
    ...controlOf(process, say),
    ...settingsOf(process, controlGroup),
    ...(output.logger ? loggerFiles(output.logger, process, self, context.chpst) : {}),
  });
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

/** What settings files say; each is one line. */
function settingsOf(process: Process, controlGroup: string | null) {
  const line = (text: string | number | false | null) =>
    text !== false && text !== null && { text: `${text}\n`, mode: 0o644 };
  const { stopSignal, stopSeconds, startSeconds, startRetries } = process;
  const pause = Math.min(30, Math.max(1, startRetries));
  return {
    restart: line(restartOf(process)),
    "restart-delay": line(startSeconds > 1 && `${pause} ${startSeconds}`),
    "stop-signal": line(stopSignal !== 15 && signalName(stopSignal)),
    "stop-timeout": line(Math.max(0, stopSeconds)),
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
    return { name: user, uid: -1, home: "", groups: [] };
  }
  // Nothing is changed there either.
  return found.uid === (ownUid ?? 0) ? null : found;
}
