/** A source of one service, and its logger: its neighbours do not exist. */
import { loggerOf } from "./rundir.ts";
import { SysDir } from "./sysdir.ts";

export class OneEntry extends SysDir {
  constructor(
    directory: string,
    private readonly name: string,
  ) {
    super(directory);
  }

  override entries(): string[] | { reason: string } {
    const names = super.entries();
    return Array.isArray(names) ? names.filter((name) => name === this.name) : names;
  }

  override has(name: string): boolean {
    return (name === this.name || name === loggerOf(this.name)) && super.has(name);
  }
}
