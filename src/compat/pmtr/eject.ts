/** The way to services of one's own: each job as a service directory for sysmgr(8), with comments that teach. */
import { dirname, quoteWord } from "../../bytes.ts";
import { Failure } from "../../cli.ts";
import { createFile, makeDirectory } from "../../files.ts";
import * as libc from "../../libc.ts";
import { type Config, inOrder, type Job } from "./config.ts";
import { encodeName } from "./names.ts";
import {
  type Context,
  NO_RESTART,
  RESTART_DELAY,
  runScript,
  type ServiceFile,
  STOP_TIMEOUT,
  serviceFiles,
} from "./script.ts";

/** Writes them into a directory, where none of them may be yet. Throws Failure. */
export function eject(dir: string, config: Config, context: Context): void {
  must(makeDirectory(dir), "make", dir);
  for (const [name, files] of ejected(config, context)) {
    const path = `${dir}/${name}`;
    // Complete before it can be seen: sysmgr may run on that directory.
    const staged = `${dir}/.${name}`;
    if (typeof libc.lstat(path) !== "number")
      throw new Failure(`cannot write ${path}: it is there`);
    must(libc.mkdirat(libc.AT_FDCWD, staged, 0o755), "make", staged);
    for (const [file, { text, mode }] of Object.entries(files)) {
      must(createFile(`${staged}/${file}`, text, mode), "write", `${staged}/${file}`);
    }
    must(libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, path), "make", path);
  }
}

function must(code: number, verb: string, path: string): void {
  if (code < 0) throw new Failure(`cannot ${verb} ${path}: ${libc.strerror(code)}`);
}

/** The files of each service, by its name. */
export function ejected(
  config: Config,
  context: Context,
): Map<string, Readonly<Record<string, ServiceFile>>> {
  const services = new Map<string, Readonly<Record<string, ServiceFile>>>();
  const waitedFor: string[] = [];
  for (const job of inOrder(config.jobs)) {
    const name = encodeName(job.name);
    services.set(name, nativeFiles(job, context, waitedFor));
    if (job.wait && !job.disable) waitedFor.push(name);
  }
  return services;
}

function nativeFiles(job: Job, context: Context, waitedFor: readonly string[]) {
  const native = { ...context, inherit: false };
  const lines = [...teach(job), ...waitLines(waitedFor, context), ...dependsLines(job)];
  const run = runScript(withBounce(job), native, lines);
  const down = { down: { text: "disable: not started before `svctl start`.\n", mode: 0o644 } };
  return {
    ...serviceFiles(job, native),
    run: { text: run, mode: 0o755 },
    ...(job.disable ? down : {}),
  };
}

function teach(job: Job): string[] {
  const once = "# restart holds never: it is not started again when it ends.";
  return [
    "#",
    "# This file is the service: sysmgr(8) runs it in this directory and keeps it running.",
    "# The other files, each with one value, say how (sysmgr(8), Service directories):",
    `# restart-delay: ${RESTART_DELAY} s pass before the start after a life of less than ${RESTART_DELAY} s.`,
    `# stop-timeout: KILL follows ${STOP_TIMEOUT} s after TERM.`,
    job.once ? once : `# restart: always, unless it exits with ${NO_RESTART}.`,
    "# Changes count at the next start: svctl restart.",
    "",
  ];
}

function waitLines(waitedFor: readonly string[], { chpst }: Context): string[] {
  if (waitedFor.length === 0) return [];
  const depends = quoteWord(`${dirname(chpst[0] ?? "/")}/sysmgr-depends`);
  return [
    "# wait: these have to end with success before it starts.",
    `${depends} -f ${waitedFor.map(quoteWord).join(" ")} || exit`,
    "",
  ];
}

function dependsLines(job: Job): string[] {
  if (job.depends.length === 0) return [];
  const files = job.depends.map((file) => `#   ${quoteWord(file).replaceAll("\n", "?")}`);
  return [
    "# depends: nothing watches these files here; svctl restart after a change.",
    ...files,
    "",
  ];
}

/** timeout(1) ends it now and then; sysmgr starts it again. */
function withBounce(job: Job): Job {
  if (job.bounce === null) return job;
  return {
    ...job,
    cmd: ["/usr/bin/timeout", "-k", `${STOP_TIMEOUT}`, `${job.bounce}`, ...job.cmd],
  };
}
