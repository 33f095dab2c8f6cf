// What a supervisor has to offer to be measured, and what several of them share.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Groups of measurements, as --only takes them. */
export const GROUPS = [
  "start",
  "idle",
  "memory",
  "status",
  "kill",
  "control",
  "new",
  "shutdown",
] as const;
export type Group = (typeof GROUPS)[number];

/** Where one run lives: all of it on tmpfs if there is one. */
export interface Place {
  readonly root: string;
  /** The directory that the supervisor reads. */
  readonly services: string;
  /** Where a new service is made before it is moved into `services`. */
  readonly staging: string;
  /** Whatever else the supervisor wants to keep. */
  readonly state: string;
  /** The file that services append their marks to. */
  readonly marks: string;
  /** The script of a service, where it has to be another one than below. */
  readonly script?: (name: string) => string;
}

export type Argv = readonly string[];

/** Puts a staged service where the supervisor finds it; gives the command to tell it, if any. */
export type Commit = () => Argv | undefined;

export interface Peer {
  readonly name: string;
  /** A lower bound to judge by, not a supervisor. */
  readonly yardstick?: boolean;
  /** The most services that it takes. */
  readonly limit?: number;
  /** After a life shorter than this (ms) it delays the next one on purpose. */
  readonly minUptime?: number;
  /** How often (ms) it looks for new services, if it is neither told nor woken. */
  readonly interval?: number;
  /** The groups that make sense for it, if not all. */
  readonly only?: readonly Group[];
  /** How it is asked, where that is not obvious; or why it cannot be asked. */
  readonly how: Partial<Record<Group, string>>;

  /** Its version, or undefined: not installed. */
  version(): string | undefined;
  /** Writes what it needs beside the services. */
  prepare?(place: Place, names: readonly string[]): void;
  /** Makes a service in its native layout, ready to be put into place in one step. */
  stage(place: Place, name: string): Commit;
  /** The supervisor, in the foreground. */
  run(place: Place): Argv;
  /** The same without the option that raises its limit for us, where there is one. */
  runByDefault?(place: Place): Argv;
  stop?(place: Place, name: string): Argv;
  start?(place: Place, name: string): Argv;
  /** One line per service on stdout. */
  status?(place: Place, names: readonly string[]): Argv;
  /** What makes it stop all services: a signal to it, or a command. */
  shutdown: NodeJS.Signals | ((place: Place, names: readonly string[], pid: number) => Argv);
}

/** The service, the same for all: it says that it runs, then sleeps under the same pid. */
export const serviceScript = (place: Place, name: string): string =>
  place.script?.(name) ?? `#!/bin/sh\necho ${name} $$ >>${place.marks}\nexec sleep 1000000\n`;

/** Writes the service script as an executable file. */
export function writeScript(path: string, place: Place, name: string): void {
  writeFileSync(path, serviceScript(place, name), { mode: 0o755 });
}

/** runit, daemontools, s6: a directory with `run`, moved into the scanned directory. */
export function stageDirectory(place: Place, name: string, command?: Argv): Commit {
  const staged = join(place.staging, name);
  mkdirSync(staged);
  writeScript(join(staged, "run"), place, name);
  return () => {
    renameSync(staged, join(place.services, name));
    return command;
  };
}

/** sysmgr: an executable file, moved into the scanned directory. */
export function stageFile(place: Place, name: string): Commit {
  const staged = join(place.staging, name);
  writeScript(staged, place, name);
  return () => {
    renameSync(staged, join(place.services, name));
    return undefined;
  };
}

export const paths = (place: Place, names: readonly string[]): string[] =>
  names.map((name) => join(place.services, name));

/** Whether all programs are on PATH. */
export const installed = (...programs: string[]): boolean =>
  programs.every((program) => Bun.which(program) !== null);

/** The version of the Debian package; other systems say nothing comparable. */
export function debianVersion(name: string): string {
  const dpkg = Bun.which("dpkg-query");
  if (dpkg === null) return "version unknown";
  const field = "$" + "{Version}";
  const asked = Bun.spawnSync([dpkg, "-W", "-f", field, name], { stderr: "ignore" });
  return asked.success ? asked.stdout.toString().trim() : "version unknown";
}
