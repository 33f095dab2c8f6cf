/** The configuration file, as the daemon and its clients read it. */
import * as libc from "../../libc.ts";
import { O } from "../../libc.ts";
import { describeProblem, type Parsed, type Problem, parseConfig } from "./config.ts";

/** Or why it cannot be read. */
export function readConfig(path: string): Parsed | { readonly reason: string } {
  const fd = libc.openat(libc.AT_FDCWD, path, O.RDONLY);
  if (fd < 0) return { reason: libc.strerror(fd) };
  const weakness = insecure(fd);
  const text = weakness === null ? libc.readAll(fd) : "";
  libc.close(fd);
  if (weakness !== null) return { reason: `insecure: ${weakness}` };
  return typeof text === "string" ? parseConfig(text) : { reason: libc.strerror(text) };
}

/** Why root must not run what is in it: somebody else may write it. */
function insecure(fd: number): string | null {
  const stat = libc.fstat(fd);
  if (process.geteuid?.() !== 0 || typeof stat === "number") return null;
  if (stat.uid !== 0) return `it belongs to uid ${stat.uid}`;
  return stat.isFile && stat.mode & 0o002 ? "anybody may write it" : null;
}

/** A line for each. */
export function describeProblems(path: string, problems: readonly Problem[]): string[] {
  return problems.map((problem) => describeProblem(path, problem));
}

export function isUsable({ problems }: Parsed): boolean {
  return !problems.some(({ fatal }) => fatal);
}
