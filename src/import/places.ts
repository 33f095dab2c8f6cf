/** Paths of the configuration as absolute ones: nobody's working directory is that of supervisord. */
import type { Accounts } from "./accounts.ts";
import type { Supervisor } from "./config.ts";
import type { Say } from "./logs.ts";
import type { Process } from "./program.ts";

export class Places {
  /** What relative paths begin with: a daemon without a directory runs in /. */
  private readonly base: string;

  constructor(
    private readonly supervisor: Supervisor,
    private readonly home: string,
    private readonly accounts: Accounts,
    private readonly say: Say,
  ) {
    const directory = this.expandHome(supervisor.directory ?? "/");
    this.base = directory.startsWith("/") ? directory : "/";
  }

  /** Of a log file. */
  file(path: string, option: string): string {
    return this.absolute(this.expandHome(path), option);
  }

  /** Where a program is run. */
  directory({ directory, command: [program = ""] }: Process): string {
    if (directory) return this.absolute(directory, "directory");
    if (program.includes("/")) this.absolute(program, "command");
    return this.base;
  }

  /** Not made shorter: where .. leads to the kernel knows. */
  private absolute(path: string, option: string): string {
    if (path.startsWith("/")) return path;
    if (this.supervisor.directory === null) {
      this.say("lost", option, `${path}: the working directory of supervisord is taken for /`);
    }
    return `${this.base === "/" ? "" : this.base}/${path}`;
  }

  /** ~ and ~user at the beginning of a path. */
  private expandHome(path: string): string {
    const [, user] = path.match(/^~([^/]*)/) ?? [];
    if (user === undefined) return path;
    const found = user === "" ? this.home : this.accounts.find(user)?.home;
    return found === undefined ? path : found + path.slice(user.length + 1);
  }
}
