/** The table of programs: it drives dispatch, links, installation and the checks. */

export type Module = {
  /** `usage: NAME ...`, then the options: what --help prints. */
  readonly usage: string;
  /** Runs the program; args exclude its name. Resolves to the exit code. */
  readonly main: (args: string[]) => number | Promise<number>;
};

export type Program = {
  /** Of its man page. */
  readonly section: number;
  readonly summary: string;
  readonly load: () => Promise<Module>;
};

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
  runsyssv: {
    section: 1,
    summary: "supervise one service in the foreground",
    load: () => import("./runsyssv.ts"),
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
};
