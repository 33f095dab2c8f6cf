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
