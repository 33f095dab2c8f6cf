/**
 * The SYSDIR in which the jobs are: a service directory for each, and beside its files `job`, which
 * tells what they were made from. That is written last: where it is not there, or says something
 * else, the files are to be written again.
 */

import { createFile, makeDirectory, putFile, removeDirectory, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { isServiceName } from "../../rundir.ts";
import type { Refusal } from "../../settings.ts";
import { SysDir, type Target } from "../../sysdir.ts";
import type { ServiceFiles } from "./script.ts";

const STAGED = ".new";

/** The services in the order in which they are to be started, a line each. */
const ORDER = ".order";

export class Store {
  /** What `job` holds, for each that is there. */
  private readonly known = new Map<string, string>();
  private order = "";

  constructor(readonly path: string) {
    removeDirectory(`${path}/${STAGED}`);
    const names = libc.readDirectory(path);
    for (const name of typeof names === "number" ? [] : names.filter(isServiceName)) {
      const text = libc.readFile(`${path}/${name}/job`);
      this.known.set(name, typeof text === "string" ? text : "");
    }
  }

  /** The services that are there. */
  get names(): string[] {
    return [...this.known.keys()];
  }

  /** In which order a scanner that begins is to start them. */
  setOrder(names: readonly string[]): void {
    const order = names.map((name) => `${name}\n`).join("");
    if (order === this.order) return;
    if (putFile(`${this.path}/${ORDER}`, order) >= 0) this.order = order;
  }

  /** Removes all of it but the directory. */
  clear(): void {
    for (const name of this.names) this.remove(name);
    removeFile(`${this.path}/${ORDER}`);
  }

  /** What a service was made from; undefined: it is not there. */
  origin(name: string): string | undefined {
    return this.known.get(name);
  }

  /** Adds a service in one step. */
  add(name: string, files: ServiceFiles, origin: string): number {
    const staged = `${this.path}/${STAGED}`;
    removeDirectory(staged);
    let code = makeDirectory(staged);
    for (const [file, { text, mode }] of Object.entries(files)) {
      if (code >= 0) code = createFile(`${staged}/${file}`, text, mode);
    }
    if (code >= 0) code = createFile(`${staged}/job`, origin);
    if (code >= 0) {
      code = libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, `${this.path}/${name}`);
    }
    if (code < 0) removeDirectory(staged);
    else this.known.set(name, origin);
    return code;
  }

  /** Changes a service; `restart` is called before it is noted that this was done. */
  change(name: string, files: ServiceFiles, origin: string, restart: () => void): number {
    let code = 0;
    for (const [file, { text, mode }] of Object.entries(files)) {
      if (code >= 0) code = putFile(`${this.path}/${name}/${file}`, text, mode);
    }
    if (code < 0) return code;
    restart();
    code = putFile(`${this.path}/${name}/job`, origin);
    if (code >= 0) this.known.set(name, origin);
    return code;
  }

  /** Notes that a service is no more: should it come back before it is removed, it is made again. */
  disown(name: string): void {
    putFile(`${this.path}/${name}/job`, "");
    this.known.set(name, "");
  }

  remove(name: string): void {
    this.known.delete(name);
    removeDirectory(`${this.path}/${name}`);
  }
}

/**
 * The same directory as the supervisor sees it. /run is often mounted noexec, so the scripts are
 * given to sh; everything in it is pmtr's own.
 */
export class JobSource extends SysDir {
  override names(): string[] | { reason: string } {
    const names = super.names();
    if (!Array.isArray(names)) return names;
    const text = libc.readFile(`${this.path}/${ORDER}`);
    const order = typeof text === "string" ? text.split("\n") : [];
    const places = new Map(order.map((name, i) => [name, i]));
    return names.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  }

  override inspect(name: string): Target | Refusal {
    const settings = this.settings(name);
    if (settings.unread) return settings.unread;
    const cwd = `${this.path}/${name}`;
    const argv = ["/bin/sh", "./run"];
    return { path: "/bin/sh", argv, cwd, settings, problems: [] };
  }
}
