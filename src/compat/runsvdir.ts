/** runsvdir(8): the scanner over a directory of services, as runit has it. */
import { HEAL_INTERVAL } from "../../config.ts";
import { absolutePath } from "../bytes.ts";
import { err, Failure } from "../cli.ts";
import { enterRuntimeEnvironment } from "../environment.ts";
import * as libc from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { argumentMemory } from "../log/readproctitle.ts";
import { reason } from "../log/words.ts";
import { RunDir } from "../rundir.ts";
import { calledAs, makeRundir, realPath, runFrontEnd, ServiceDirectories } from "./frontend.ts";

export const usage = `usage: runsvdir [-P] DIR [LOG]

Keep the service in every subdirectory of DIR running.

  -P           a process group for each service: here they always have one
  LOG          where ps(1) shows the last errors: seven characters or more
  -h, --help   print this, if it is the only argument

TERM leaves the services running; HUP stops them.
`;

const SYNOPSIS = "[-P] dir\n\n";
const SHORTEST_LOG = 7;
/** Always left, at the beginning of the log. */
const FIXED = 5;
/** A dot is written so often, so that old errors go away. */
const EXPIRY = 15 * 60 * 1000;
const DOT = Buffer.from(".");

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  // Only this one argument is looked at, and what follows its first letter is not.
  const operands = /^-[P-]/.test(args[0] ?? "") ? args.slice(1) : args;
  const [directory, log, ...more] = operands;
  if (directory === undefined) {
    err(`usage: ${calledAs("runsvdir")} ${SYNOPSIS}`);
    return 1;
  }
  enterRuntimeEnvironment();
  const name = `runsvdir ${directory}`;
  const warn = (text: string) => err(`${name}: warning: ${text}\n`);
  if (log !== undefined && log.length < SHORTEST_LOG) {
    warn("log must have at least seven characters.");
    warn("log service disabled.");
  }
  const sysdir = absolutePath(directory);
  const early = await appears(sysdir, (code) =>
    warn(`unable to stat ${directory}: ${reason(code)}`),
  );
  if (early !== null) return early;
  const stderr = libc.duplicateFrom(2, 3);
  try {
    const real = realPath(sysdir);
    if (typeof real === "number") throw new Failure(`unable to open directory: ${reason(real)}`);
    const rundir = makeRundir(real);
    if (log !== undefined && log.length >= SHORTEST_LOG) {
      const after = more.reduce((sum, word) => sum + word.length + 1, 0);
      showErrors(rundir, argumentMemory(log.length, after), warn);
    }
    return await runFrontEnd({
      program: "runsvdir",
      sysdir,
      rundir,
      source: new ServiceDirectories(sysdir, "runit"),
      format: "runit",
      alone: false,
      signals: {
        SIGTERM: { services: "leave", code: 0 },
        SIGHUP: { services: "stop", code: 111 },
      },
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    libc.duplicateTo(stderr, 2);
    err(`${name}: fatal: ${error.message}\n`);
    return 111;
  }
}

/** Waits until there is such a directory; the exit code, if a signal came first. */
async function appears(path: string, warn: (code: number) => void): Promise<number | null> {
  const end = Promise.withResolvers<number>();
  const signals = [
    ["SIGTERM", 0],
    ["SIGHUP", 111],
  ] as const;
  const look = () => {
    const stat = libc.stat(path);
    if (typeof stat === "number") return stat;
    return stat.isDirectory ? 0 : -libc.E.NOTDIR;
  };
  let code = look();
  if (code === 0) return null;
  for (const [signal, exit] of signals) process.on(signal, () => end.resolve(exit));
  libc.unblockSignals();
  warn(code);
  for (; code < 0; code = look()) {
    const exit = await Promise.race([end.promise, Bun.sleep(HEAL_INTERVAL)]);
    if (exit !== undefined) return exit;
  }
  for (const [signal] of signals) process.removeAllListeners(signal);
  return null;
}

/**
 * Our standard error, and that of services, becomes a FIFO, and we show the last that comes out.
 * Everybody has it open for reading and writing: it has no end when we are gone, and the next
 * runsvdir goes on with it.
 */
function showErrors(rundir: string, title: Uint8Array | null, warn: (text: string) => void): void {
  const state = RunDir.open(rundir);
  const open = () => (typeof state === "number" ? state : state.openErrors());
  const [input, output] = [open(), open()];
  const stat = libc.fstat(input);
  const isOurs = typeof stat !== "number" && stat.isFifo && stat.uid === process.geteuid?.();
  if (typeof state !== "number") state.close();
  if (!title || !isOurs || libc.duplicateTo(output, 2) < 0) {
    warn("log service disabled.");
    return;
  }
  libc.close(output);
  const show = (bytes: Uint8Array) => {
    // A NUL would end the argument.
    const text = bytes.filter((byte) => byte !== 0).slice(FIXED - title.length);
    title.copyWithin(FIXED, FIXED + text.length);
    title.set(text, title.length - text.length);
  };
  setInterval(() => show(DOT), EXPIRY).unref();
  void (async () => {
    const reader = Bun.file(input).stream().getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      show(value);
    }
  })();
}
