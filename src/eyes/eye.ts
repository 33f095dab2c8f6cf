/** What the operations of svctl that only look have in common. */
import { Failure, type OptionSpec, type Options, UsageError } from "../cli.ts";
import * as libc from "../libc.ts";
import { jsonText, type Shown } from "../report.ts";
import { isServiceName, RunDir } from "../rundir.ts";

/** Such an operation: a file of its own. */
export type Eye = {
  /** `usage: svctl WORD ...`: what `svctl WORD --help` prints. */
  readonly usage: string;
  /** The options that it has besides -h, -V, -d and -r. */
  readonly spec: Pick<OptionSpec, "boolean" | "string" | "alias">;
  readonly run: (view: View) => number | Promise<number>;
};

/** What it was asked for. */
export type View = {
  readonly options: Options;
  /** Operands: services, mostly. */
  readonly names: readonly string[];
  readonly sysdir: string;
  readonly rundir: string;
};

/** The RUNDIR of a sysmgr that works. */
export function openRundir(path: string): RunDir {
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  if (rundir.supervisor() === null) throw new Failure(`no sysmgr works on ${path}`);
  return rundir;
}

/** For those that show all services or nothing. */
export function refuseNames({ names }: View, word: string): void {
  if (names.length > 0) throw new UsageError(`${word} takes no service`);
}

/** The services that are meant; all of them when none is named. */
export function chosen(all: readonly Shown[], names: readonly string[]): readonly Shown[] {
  if (names.length === 0) return all;
  return names.map((name) => {
    const found = all.find((s) => s.name === name);
    if (!found || !isServiceName(name)) throw new Failure(`${name}: no such service`);
    return found;
  });
}

/**
 * Bytes as text that does nothing to a terminal or a browser: what is not UTF-8, control
 * characters of 8 bits, and those that turn the direction of writing, as \xNN.
 */
export function plainText(bytes: string): string {
  if (/^[ -[\]-~]*$/.test(bytes)) return bytes;
  return jsonText(bytes).replace(
    /[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]/g,
    (c) => [...Buffer.from(c, "utf8")].map((b) => `\\x${b.toString(16)}`).join(""),
  );
}

/** Text in, bytes out: for cli.ts's out(). */
export function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
