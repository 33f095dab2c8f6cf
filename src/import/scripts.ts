/** The scripts of a service directory, as one would write them by hand. Pure. */
import { escapeBytes, quoteWord } from "../bytes.ts";
import { signalName } from "../libc.ts";
import { type Account, accountWords } from "./accounts.ts";
import type { Logger } from "./logs.ts";
import type { Log, Process } from "./program.ts";
import type { Place } from "./remarks.ts";
import type { ServiceFiles } from "./service.ts";

export type Run = {
  readonly title: string;
  readonly place: Place;
  /** As whom all of it is done; null: as whom sysmgr runs. */
  readonly self: Account | null;
  /** As whom the program is run, if that is somebody else. */
  readonly user: Account | null;
  readonly environment: ReadonlyMap<string, string>;
  readonly umask: number | null;
  readonly descriptors: number | null;
  readonly directory: string;
  readonly redirections: string;
  readonly command: readonly string[];
  readonly chpst: string;
  /** finish is to know its process group. */
  readonly tellsGroup: boolean;
};

/** Where finish finds the process group that it was: no other supervisor's, and gone with this one. */
const GROUP_FILE = '"$RUNDIR/$SYSMGR_SERVICE/pgid"';

export function runScript(run: Run): string {
  const { place, redirections, umask, directory } = run;
  const variables = [...run.environment];
  const lines = [
    "#!/bin/sh",
    `# ${run.title} of ${escapeBytes(place.file)}, line ${place.line}. See sysmgr(8), Service directories.`,
    ...(run.tellsGroup ? [tellFinish(run.self)] : []),
    ...asSelf(run.self, run.chpst, "run"),
    ...(redirections === "" ? [] : [`exec ${redirections}`]),
    ...(umask === null ? [] : [`umask ${(umask & 0o777).toString(8).padStart(3, "0")}`]),
    changeDirectory(directory),
    ...variables.filter(([name]) => isPlain(name)).map(exportLine),
    commandLine(run),
  ];
  return `${lines.join("\n")}\n`;
}

/** Another user cannot write here, and need not: it is the same process. */
function tellFinish(self: Account | null): string {
  const line = `echo $$ >${GROUP_FILE}`;
  return self ? `[ ! -w "$RUNDIR" ] || ${line} # for finish` : `${line} # for finish`;
}

/** [supervisord] has a user: the script starts itself again as that one. */
function asSelf(self: Account | null, chpst: string, script: string): string[] {
  if (!self || self.uid < 0) return [];
  const user = quoteWord(accountWords(self));
  return [`[ "$(id -u)" = ${self.uid} ] || exec ${quoteWord(chpst)} -u ${user} ./${script}`];
}

/** The kernel's idea of .. counts, and not the shell's. */
function changeDirectory(path: string): string {
  const physical = path.split("/").includes("..") ? "-P " : "";
  return `cd ${physical}${quoteWord(path)} || exit`;
}

/**
 * Variables that sh may set itself. Those that sh, the dynamic linker or the runtime of chpst
 * look at are not: they are for the program alone.
 */
function isPlain(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name) && !SPECIAL.test(name);
}

const SPECIAL =
  /^(PATH|CDPATH|IFS|ENV|PWD|OLDPWD|P?PID|OPT[A-Z]+|PS[1-4]|LINENO|LD_\w+|BASH\w*|BUN_\w+|SHELLOPTS|POSIXLY_CORRECT|E?UID|GROUPS|RANDOM|SECONDS|_)$/;

function exportLine([name, value]: readonly [string, string]): string {
  return `export ${name}=${quoteWord(value)}`;
}

function commandLine({ user, self, environment, descriptors, command, chpst }: Run): string {
  // Without its number nobody can be told to be it already.
  const account = user ?? (self && self.uid < 0 ? self : null);
  // The program is looked for in its own PATH; chpst is not.
  const path = environment.get("PATH");
  const byEnv = path !== undefined && !command[0]?.includes("=");
  const special = [...environment].filter(
    ([name]) => !isPlain(name) && !(byEnv && name === "PATH"),
  );
  const options = [
    ...(account ? ["-u", accountWords(account)] : []),
    ...(descriptors !== null && descriptors > 0 ? ["-o", `${descriptors}`] : []),
    ...special.flatMap(([name, value]) => ["--env", `${name}=${value}`]),
  ];
  const parts = [
    options.length > 0 ? [chpst, ...options] : [],
    byEnv ? ["env", `PATH=${path}`] : [],
    command,
  ].filter((words) => words.length > 0);
  return `exec ${parts.map((words) => words.map(quoteWord).join(" ")).join(" \\\n    ")}`;
}

/** null: there is nothing that it would have to do. */
export function finishScript({ killAsGroup }: Process): string | null {
  if (!killAsGroup) return null;
  return `#!/bin/sh
# killasgroup: after KILL the rest of its process group gets it, too.
[ "$2" != 9 ] || kill -s KILL -- "-$(cat ${GROUP_FILE})" 2>/dev/null
`;
}

/** In place of the stop signal; null: that will do. */
export function stopScript({ stopAsGroup, stopSignal }: Process): string | null {
  if (!stopAsGroup) return null;
  return `#!/bin/sh
# stopasgroup: the signal goes to the whole process group.
kill -s ${signalName(stopSignal)} -- -"$(cat "$RUNDIR/$SYSMGR_SERVICE/pid")"
`;
}

export function loggerFiles(
  logger: Logger,
  { name, program }: Process,
  self: Account | null,
  chpst: string,
): ServiceFiles {
  const script = (...lines: string[]) => ({
    text: `#!/bin/sh\n# Standard input is what ../run writes.\n${lines.join("\n")}\n`,
    mode: 0o755,
  });
  if (logger.by === "syslog") {
    const tag = quoteWord(name || program);
    return {
      "log/run": script(...asSelf(self, chpst, "run"), `exec logger -p user.info -t ${tag}`),
    };
  }
  const config = { text: configOf(logger.log), mode: 0o644 };
  if (logger.path === null) {
    return { "log/run": script("exec svlogd ./main"), "log/main/config": config };
  }
  return {
    "log/run": script(
      ...asSelf(self, chpst, "run"),
      `log=${quoteWord(logger.path)}`,
      'mkdir -p "$log" && ln -sfn "$PWD/config" "$log/config" || exit',
      'exec svlogd "$log"',
    ),
    "log/config": config,
  };
}

/** Of svlogd, for which no old file means all of them. */
function configOf({ maxBytes, backups }: Log): string {
  return `s${Math.max(0, maxBytes)}\nn${Math.max(1, backups)}\n`;
}
