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
};
