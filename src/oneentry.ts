/** A source of one service: its neighbours do not exist. */
import { SysDir } from "./sysdir.ts";

export class OneEntry extends SysDir {
  constructor(
    directory: string,
    private readonly name: string,
  ) {
    super(directory);
  }

  override names(): string[] | { reason: string } {
    const names = super.names();
    return Array.isArray(names) ? names.filter((name) => this.isOurs(name)) : names;
  }

  override has(name: string): boolean {
    return this.isOurs(name) && super.has(name);
  }

  /** Its logger belongs to it. */
  private isOurs(name: string): boolean {
    return name === this.name || name === `${this.name}/log`;
  }
}
