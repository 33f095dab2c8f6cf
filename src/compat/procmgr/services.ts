/**
 * The service directories of the programs: what the supervisor works on. A program has one, and a
 * second one while a scripted restart has made a new process the program and the old one still runs.
 */
import { quoteWord } from "../../bytes.ts";
import { ownCommand } from "../../environment.ts";
import { createFile, makeDirectory, putFile, removeDirectory, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { isServiceName } from "../../rundir.ts";
import { PLAIN, type Refusal, type Settings } from "../../settings.ts";
import { SysDir, type Target } from "../../sysdir.ts";
import type { Program } from "./config.ts";
import { LAUNCH } from "./launch.ts";
import { formatOrder, orderFor } from "./order.ts";
import type { Place } from "./place.ts";

/** What is neither letter, digit nor one of `_.@+=-` becomes %XX; the comma is ours. */
const ODD = /[^\w.@+=\x80-\xff-]/g;
const hex = (c: string) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** NAME_MAX of every file system that we know, less what is put before and after it. */
const NAME_MOST = 200;

/** The service of a program, whatever its name is; others have others. */
export function serviceName(program: string): string {
  const encoded = program.replace(ODD, hex).replace(/^[.-]/, hex);
  // `pid` is the supervisor's own.
  const name = isServiceName(encoded) ? encoded : `%${encoded}`;
  if (name.length <= NAME_MOST) return name;
  const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(program, "latin1"));
  // No other name looks so: %~ stands for no byte.
  return `${name.slice(0, NAME_MOST - 66)}%~${digest.digest("hex")}`;
}

/** Another one of the same program. */
export function otherService(program: string, number: number): string {
  return number < 2 ? serviceName(program) : `${serviceName(program)},${number}`;
}

type Files = Readonly<Record<string, { readonly text: string; readonly mode: number }>>;

export class Services {
  constructor(
    private readonly place: Place,
    private readonly nofile: number,
  ) {}

  /** Those that are there, and the programs that they are of. */
  list(): { service: string; program: Program }[] {
    const names = libc.readDirectory(this.place.sysdir);
    return (typeof names === "number" ? [] : names).filter(isServiceName).flatMap((service) => {
      const text = libc.readFile(`${this.place.sysdir}/${service}/program`);
      return typeof text === "string" ? [{ service, program: JSON.parse(text) as Program }] : [];
    });
  }

  /** Makes it, in one step, or makes it say what the program is now. */
  write(service: string, program: Program): number {
    const files = this.filesOf(service, program);
    const path = `${this.place.sysdir}/${service}`;
    const exists = typeof libc.lstat(path) !== "number";
    return exists ? this.rewrite(path, files) : this.make(path, service, files);
  }

  private make(path: string, service: string, files: Files): number {
    const staged = `${this.place.sysdir}/.${service}`;
    removeDirectory(staged);
    const made = [staged, `${staged}/control`].map((dir) => makeDirectory(dir, 0o700));
    let code = Math.min(...made);
    for (const [file, { text, mode }] of Object.entries(files)) {
      if (code >= 0) code = createFile(`${staged}/${file}`, text, mode);
    }
    return code < 0 ? code : libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, path);
  }

  private rewrite(path: string, files: Files): number {
    let code = 0;
    for (const [file, { text, mode }] of Object.entries(files)) {
      const same = libc.readFile(`${path}/${file}`) === text;
      if (!same && code >= 0) code = putFile(`${path}/${file}`, text, mode);
    }
    for (const file of OPTIONAL) if (!files[file]) removeFile(`${path}/${file}`);
    return code;
  }

  remove(service: string): void {
    removeDirectory(`${this.place.sysdir}/${service}`);
  }

  private filesOf(service: string, program: Program): Files {
    const { socket } = this.place;
    const rest = { args: [], pid: "", nofile: this.nofile, caller: null };
    const run = (mode: string) => {
      const words = [...ownCommand("procmgr"), mode, socket, service];
      return { text: `#!/bin/sh\nexec ${words.map(quoteWord).join(" ")}\n`, mode: 0o700 };
    };
    const data = (text: string) => ({ text, mode: 0o600 });
    const start = orderFor(program, "start", rest);
    const stop = orderFor(program, "stop", rest);
    const delay = program.restartDelay;
    return {
      run: run(LAUNCH.program),
      down: data(""),
      program: data(`${JSON.stringify(program)}\n`),
      ...(delay === null ? { restart: data("never\n") } : { "restart-delay": data(`${delay}\n`) }),
      ...(start && { start: data(formatOrder(start)) }),
      ...(stop && { stop: data(formatOrder(stop)), "control/t": run(LAUNCH.stop) }),
    };
  }
}

const OPTIONAL = ["restart", "restart-delay", "start", "stop", "control/t"];

/**
 * The same directories as the supervisor sees them. /run is often mounted noexec, so the scripts are
 * given to sh; everything in there is the daemon's own.
 */
export class ProgramSource extends SysDir {
  override inspect(name: string): Target | Refusal {
    const settings = this.settings(name);
    return settings.unread ?? { ...this.script(name, "run"), settings };
  }

  override settings(name: string): Settings {
    return { ...super.settings(name), finish: false, check: false };
  }

  override hasProgram(name: string, file: string): boolean {
    return typeof libc.lstat(`${this.path}/${name}/${file}`) !== "number";
  }

  override inspectProgram(name: string, file: string): Target {
    return this.script(name, file);
  }

  private script(name: string, file: string): Target {
    const cwd = `${this.path}/${name}`;
    const argv = ["/bin/sh", `./${file}`];
    return { path: "/bin/sh", argv, cwd, settings: PLAIN, problems: [] };
  }
}
