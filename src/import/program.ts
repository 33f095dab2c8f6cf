/** A [program:x] section: the processes that supervisord would make of it. */
import { environmentNames, expand, type Names } from "./expand.ts";
import { lower } from "./ini.ts";
import type { Options } from "./options.ts";
import { Invalid } from "./remarks.ts";
import * as values from "./values.ts";
import { splitCommand, splitEnvironment } from "./words.ts";

/** Where output goes. */
export type Log = {
  /** A path, AUTO, or null: it is thrown away. */
  readonly file: string | null;
  /** Bytes after which another file is begun; 0: never. */
  readonly maxBytes: number;
  /** Old files that are kept. */
  readonly backups: number;
  readonly syslog: boolean;
};

/** A file of supervisord's own choice. */
export const AUTO = "AUTO";

export type Process = {
  /** x, the group that it is in, and its own name in that. */
  readonly program: string;
  readonly group: string;
  readonly name: string;
  readonly options: Options;
  readonly command: readonly string[];
  readonly directory: string | null;
  readonly umask: number | null;
  readonly user: string | null;
  readonly environment: ReadonlyMap<string, string>;
  readonly autostart: boolean;
  readonly autorestart: values.AutoRestart;
  readonly exitCodes: readonly number[];
  readonly startSeconds: number;
  readonly startRetries: number;
  readonly stopSignal: number;
  readonly stopSeconds: number;
  readonly stopAsGroup: boolean;
  readonly killAsGroup: boolean;
  readonly redirectStderr: boolean;
  readonly stdout: Log;
  readonly stderr: Log;
  /** What it writes is told to event listeners. */
  readonly events: readonly string[];
};

const TERM = 15;
const DEFAULT_MAX_BYTES = 50 * 1024 ** 2;

/** As many services as sysmgr is made for. */
const MOST_PROCESSES = 10_000;

const LOG_OPTIONS = ["logfile", "logfile_maxbytes", "logfile_backups", "syslog"];
const EVENT_OPTIONS = ["capture_maxbytes", "events_enabled"];

export const PROGRAM_OPTIONS: ReadonlySet<string> = new Set([
  ...["command", "process_name", "numprocs", "numprocs_start", "directory", "umask", "user"],
  ...["priority", "autostart", "autorestart", "exitcodes", "startsecs", "startretries"],
  ...["stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "redirect_stderr"],
  ...["environment", "serverurl"],
  ...["stdout", "stderr"].flatMap((stream) =>
    [...LOG_OPTIONS, ...EVENT_OPTIONS].map((option) => `${stream}_${option}`),
  ),
]);

/** `names`: what names stand for in all of the file; `program` and `group` were checked. */
export function processesOf(
  program: string,
  group: string,
  options: Options,
  names: Names,
): Process[] {
  const known = names.with([
    ["program_name", program],
    ["group_name", group],
  ]);
  options.noteUnknown(PROGRAM_OPTIONS);
  const common = commonSettings(options, known);
  const count = options.get("numprocs", known, 1, values.integer);
  const first = options.get("numprocs_start", known, 0, values.integer);
  if (count < 1) options.remark("note", "numprocs", "no process at all");
  if (count > MOST_PROCESSES) {
    options.remark("error", "numprocs", `more than ${MOST_PROCESSES}`);
    return [];
  }
  const nameText = options.attempt("process_name", program, () => nameOf(options, count));
  return Array.from({ length: Math.max(0, count) }, (_, i) => {
    const numbered = known.with([
      ["process_num", first + i],
      ["numprocs", count],
    ]);
    return { program, group, options, ...common, ...ownSettings(options, numbered, nameText) };
  });
}

/** Not expanded yet. Throws Invalid. */
function nameOf(options: Options, count: number): string {
  const text = values.processName(options.text("process_name") ?? "%(program_name)s");
  if (count > 1 && !text.includes("%(process_num)")) {
    throw new Invalid("it needs %(process_num)d in it, as there are several");
  }
  return text;
}

/** What is the same for all processes of a program. */
function commonSettings(options: Options, names: Names) {
  const number = (option: string, fallback: number) =>
    options.get(option, names, fallback, values.integer);
  const flag = (option: string, fallback: boolean) =>
    options.get(option, names, fallback, values.boolean);
  number("priority", 999);
  const stopAsGroup = flag("stopasgroup", false);
  const killAsGroup = flag("killasgroup", stopAsGroup);
  if (stopAsGroup && !killAsGroup) {
    options.remark("error", "killasgroup", "it cannot be false if stopasgroup is true");
  }
  return {
    umask: options.get<number | null>("umask", names, null, values.octal),
    user: options.get<string | null>("user", names, null, (text) => text),
    autostart: flag("autostart", true),
    autorestart: options.get<values.AutoRestart>(
      "autorestart",
      names,
      "unexpected",
      values.autoRestart,
    ),
    exitCodes: options.get("exitcodes", names, [0], values.exitCodes),
    startSeconds: number("startsecs", 1),
    startRetries: number("startretries", 3),
    stopSignal: options.get("stopsignal", names, TERM, values.signal),
    stopSeconds: number("stopwaitsecs", 10),
    stopAsGroup,
    killAsGroup,
    redirectStderr: flag("redirect_stderr", false),
    events: ["stdout", "stderr"].flatMap((stream) => {
      const captured = options.get(`${stream}_capture_maxbytes`, names, 0, values.size) > 0;
      const enabled = flag(`${stream}_events_enabled`, false);
      return [
        ...(captured ? [`${stream}_capture_maxbytes`] : []),
        ...(enabled ? [`${stream}_events_enabled`] : []),
      ];
    }),
  };
}

/** What may have the number of the process, or its variables, in it. */
function ownSettings(options: Options, numbered: Names, nameText: string) {
  const environment = options.get(
    "environment",
    numbered,
    new Map<string, string>(),
    splitEnvironment,
  );
  const names = numbered.with(environmentNames(environment));
  return {
    environment,
    name: options.attempt("process_name", nameText, () => expand(nameText, names)),
    command: commandOf(options, names),
    directory: options.get<string | null>("directory", names, null, (text) => text),
    stdout: logOf("stdout", options, names),
    stderr: logOf("stderr", options, names),
  };
}

function commandOf(options: Options, names: Names): string[] {
  const words = options.get<string[] | null>("command", names, null, splitCommand);
  if (words === null && !options.has("command")) {
    options.remark("error", "command", "there is none");
  } else if (words?.[0] === "") {
    options.remark("error", "command", "it begins with an empty word");
  } else if (words?.length === 0) options.remark("error", "command", "it is empty");
  else if (words?.[0]?.startsWith("-")) {
    options.remark("error", "command", "its name begins with a -, which looks like an option");
  }
  return words ?? [];
}

function logOf(stream: string, options: Options, names: Names): Log {
  const get = <T>(option: string, fallback: T, parse: (text: string) => T) =>
    options.get(`${stream}_${option}`, names, fallback, parse);
  // It is expanded twice there.
  const text = get("logfile", AUTO, (once) => expand(once, names));
  const word = lower(text);
  return {
    file: ["none", "off", "syslog"].includes(word) ? null : word === "auto" ? AUTO : text,
    maxBytes: get("logfile_maxbytes", DEFAULT_MAX_BYTES, values.size),
    backups: get("logfile_backups", 10, values.integer),
    syslog: get("syslog", false, values.boolean) || word === "syslog",
  };
}
