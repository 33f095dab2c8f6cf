/** What pmtr.conf(5) says, as data. Byte strings throughout (src/bytes.ts). */

/** A number in decimal, or `infinity`; in the unit that setrlimit(2) has. */
export type Ulimit = { readonly flag: string; readonly value: string };

export type Job = {
  readonly name: string;
  /** The program by its absolute path, then its arguments. */
  readonly cmd: readonly string[];
  readonly dir: string | null;
  readonly out: string | null;
  readonly err: string | null;
  readonly in: string | null;
  /** NAME=VALUE each. */
  readonly env: readonly string[];
  readonly user: string | null;
  readonly ulimits: readonly Ulimit[];
  readonly nice: number | null;
  /** Processors: 0,2-3 or 0x5. */
  readonly cpu: string | null;
  /** In seconds. */
  readonly bounce: number | null;
  /** Files that restart it when their content changes. */
  readonly depends: readonly string[];
  readonly disable: boolean;
  readonly wait: boolean;
  readonly once: boolean;
  /** Jobs are started by this number, those of the same number as they stand in the file. */
  readonly order: number;
};

export type UdpAddress = {
  readonly host: string;
  readonly port: number;
  /** The network interface that multicast datagrams leave by. */
  readonly device: string | null;
};

export type Config = {
  readonly jobs: readonly Job[];
  readonly report: UdpAddress | null;
  readonly listen: UdpAddress | null;
};

/** A job that says no more than it must. */
export const PLAIN_JOB: Job = {
  name: "",
  cmd: [],
  dir: null,
  out: null,
  err: null,
  in: null,
  env: [],
  user: null,
  ulimits: [],
  nice: null,
  cpu: null,
  bounce: null,
  depends: [],
  disable: false,
  wait: false,
  once: false,
  order: 0,
};

/** What is wrong with a file, and in which line. */
export type Problem = { readonly line: number; readonly text: string };

/** Jobs in the order in which they are started. */
export function inOrder(jobs: readonly Job[]): Job[] {
  return [...jobs].sort((a, b) => a.order - b.order);
}
