/** The table of programs: it drives dispatch, links, installation and the checks. */
import { basename } from "./bytes.ts";
import type { Step } from "./chain/chain.ts";

export type Module = {
  /** `usage: NAME ...`, then the options: what --help prints. */
  readonly usage: string;
  /** Runs the program; args exclude its name. Resolves to the exit code. */
  readonly main: (args: string[]) => number | Promise<number>;
  /** Of a program that becomes another one: what it does before. */
  readonly step?: Step;
};

export type Program = {
  /** Of its man page. */
  readonly section: number;
  readonly summary: string;
  readonly load: () => Promise<Module>;
  /** It has a step. */
  readonly chained?: true;
};

/** Which program the words of a command line mean, argv[0] first, and what is left for it. */
export function choose([calledAs = "sysmgr", ...args]: readonly string[]): {
  name: string;
  args: string[];
} {
  const called = basename(calledAs);
  if (called !== "sysmgr" && isProgram(called)) return { name: called, args };
  const [first = "", ...rest] = args;
  return isProgram(first) ? { name: first, args: rest } : { name: "sysmgr", args };
}

export function isProgram(name: string): boolean {
  return Object.hasOwn(programs, name);
}

export const programs: Readonly<Record<string, Program>> = {
  sysmgr: {
    section: 8,
    summary: "keep services running",
    load: () => import("./sysmgr.ts"),
  },
  svctl: {
    section: 1,
    summary: "control services and show their status",
    load: () => import("./svctl.ts"),
  },
  "sysmgr-depends": {
    section: 1,
    summary: "wait until services are up",
    load: () => import("./sysmgr-depends.ts"),
  },
  "sysmgr-import": {
    section: 8,
    summary: "make service directories of a supervisord.conf",
    load: () => import("./sysmgr-import.ts"),
  },
  "sysmgr-prefix": {
    section: 8,
    summary: "write the output of services with their names in front",
    load: () => import("./sysmgr-prefix.ts"),
  },
  runsyssv: {
    section: 1,
    summary: "supervise one service in the foreground",
    load: () => import("./runsyssv.ts"),
  },
  sv: {
    section: 8,
    summary: "control services as runit does",
    load: () => import("./compat/sv.ts"),
  },
  svc: {
    section: 8,
    summary: "control services as daemontools do",
    load: () => import("./compat/svc.ts"),
  },
  svok: {
    section: 8,
    summary: "check whether a service directory is supervised",
    load: () => import("./compat/svok.ts"),
  },
  svstat: {
    section: 8,
    summary: "print the status of services as daemontools do",
    load: () => import("./compat/svstat.ts"),
  },
  pmtr: {
    section: 8,
    summary: "keep the jobs of one configuration file running",
    load: () => import("./compat/pmtr.ts"),
  },
  runsv: {
    section: 8,
    summary: "keep one service and its logger running, as runit does",
    load: () => import("./compat/runsv.ts"),
  },
  runsvchdir: {
    section: 8,
    summary: "change the directory of runsvdir",
    load: () => import("./compat/runsvchdir.ts"),
  },
  runsvdir: {
    section: 8,
    summary: "keep a directory of services running, as runit does",
    load: () => import("./compat/runsvdir.ts"),
  },
  supervise: {
    section: 8,
    summary: "keep one service running, as daemontools does",
    load: () => import("./compat/supervise.ts"),
  },
  svscan: {
    section: 8,
    summary: "keep a directory of services running, as daemontools does",
    load: () => import("./compat/svscan.ts"),
  },
  svscanboot: {
    section: 8,
    summary: "run svscan on /etc/service",
    load: () => import("./compat/svscanboot.ts"),
  },
  "sysmgr-bridge": {
    section: 8,
    summary: "show services to the clients of runit and daemontools",
    load: () => import("./compat/sysmgr-bridge.ts"),
  },
  multilog: {
    section: 8,
    summary: "select lines and keep them in rotated logs",
    load: () => import("./log/multilog.ts"),
  },
  readproctitle: {
    section: 8,
    summary: "keep the last messages where ps(1) shows them",
    load: () => import("./log/readproctitle.ts"),
  },
  svlogd: {
    section: 8,
    summary: "keep logs, rotated by size and age",
    load: () => import("./log/svlogd.ts"),
  },
  tai64n: {
    section: 8,
    summary: "put a timestamp in front of each line",
    load: () => import("./log/tai64n.ts"),
  },
  tai64nfrac: {
    section: 8,
    summary: "write timestamps as seconds since the epoch",
    load: () => import("./log/tai64nfrac.ts"),
  },
  tai64nlocal: {
    section: 8,
    summary: "write timestamps as local time",
    load: () => import("./log/tai64nlocal.ts"),
  },
  chpst: {
    section: 8,
    summary: "run a program with a changed process state",
    load: () => import("./chain/chpst.ts"),
    chained: true,
  },
  envdir: {
    section: 8,
    summary: "run a program with variables from a directory",
    load: () => import("./chain/envdir.ts"),
    chained: true,
  },
  envuidgid: {
    section: 8,
    summary: "run a program with an account's ids in its environment",
    load: () => import("./chain/envuidgid.ts"),
    chained: true,
  },
  fghack: {
    section: 8,
    summary: "wait for a program that puts itself into the background",
    load: () => import("./chain/fghack.ts"),
  },
  pgrphack: {
    section: 8,
    summary: "run a program in a session of its own",
    load: () => import("./chain/pgrphack.ts"),
    chained: true,
  },
  setlock: {
    section: 8,
    summary: "run a program with a file locked",
    load: () => import("./chain/setlock.ts"),
    chained: true,
  },
  setuidgid: {
    section: 8,
    summary: "run a program as another user",
    load: () => import("./chain/setuidgid.ts"),
    chained: true,
  },
  softlimit: {
    section: 8,
    summary: "run a program with other resource limits",
    load: () => import("./chain/softlimit.ts"),
    chained: true,
  },
  utmpset: {
    section: 8,
    summary: "log out a terminal line",
    load: () => import("./chain/utmpset.ts"),
  },
  procmgr: {
    section: 1,
    summary: "run the actions of programs by name",
    load: () => import("./compat/procmgr.ts"),
  },
};
