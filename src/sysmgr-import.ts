/** sysmgr-import(8): makes service directories of a supervisord.conf, and says what is lost. */
import { environment, escapeBytes, getenv } from "./bytes.ts";
import {
  answeredHelp,
  complain,
  Failure,
  type OptionSpec,
  out,
  parseOptions,
  UsageError,
} from "./cli.ts";
import { findProgram, ownPath } from "./environment.ts";
import { Accounts } from "./import/accounts.ts";
import { buildConfig, type Config, type System } from "./import/config.ts";
import { Names } from "./import/expand.ts";
import { type Disk, readConfiguration, type Source } from "./import/read.ts";
import { type Place, Remarks } from "./import/remarks.ts";
import {
  type Context,
  type ServiceFiles,
  serviceFiles,
  serviceName,
  sharedLogs,
} from "./import/service.ts";
import { isThere, writeServices } from "./import/write.ts";
import * as libc from "./libc.ts";

export const usage = `usage: sysmgr-import [-hVqn] supervisord.conf DIR

Write the programs of a supervisord.conf as service directories for sysmgr into DIR.

  -n             write nothing: show what would be written
  -q             say only what is wrong or lost, not what is not needed
  -h, --help     print this
  -V, --version  print the version

Exit status: 0 all was converted; 1 nothing was written; 2 wrong usage; 3 done, but not all was
converted, or not all was written.
`;

const SPEC: OptionSpec = {
  boolean: ["h", "V", "n", "q"],
  alias: { h: "help", V: "version", n: "dry-run", q: "quiet" },
};

const NAME = "sysmgr-import";
const NOT_ALL = 3;

export function main(args: string[]): number {
  const options = parseOptions(args, SPEC);
  if (answeredHelp(options, usage)) return 0;
  const [file, given, ...more] = options.operands;
  const dir = given?.replace(/\/+$/, "") || given;
  if (file === undefined || dir === undefined || more.length > 0) {
    throw new UsageError("expected a supervisord.conf and a directory");
  }
  const remarks = new Remarks();
  const services = convert(file, remarks);
  say(remarks, options.has("q"));
  if (services === null) return 1;
  const taken = options.has("n") ? show(dir, services) : writeServices(dir, services);
  for (const name of taken) complain(NAME, escapeBytes(`${dir}/${name} is there: not written`));
  return taken.length > 0 || remarks.has("lost") ? NOT_ALL : 0;
}

/** null after errors. */
function convert(file: string, remarks: Remarks): Map<string, ServiceFiles> | null {
  const system = thisSystem();
  const names = Names.ofEnvironment(system.environment).with([["host_node_name", system.hostName]]);
  const source = readConfiguration(file, disk, names, remarks);
  if ("reason" in source) throw new Failure(`cannot read ${file}: ${source.reason}`);
  const config = buildConfig(source.ini, source.here, system, remarks);
  const services = servicesOf(config, contextOf(system, source), remarks);
  return remarks.has("error") ? null : services;
}

function servicesOf(config: Config, context: Context, remarks: Remarks): Map<string, ServiceFiles> {
  const services = new Map<string, ServiceFiles>();
  const places = new Map<string, Place>();
  const shared = sharedLogs(config, context);
  for (const process of config.processes) {
    const name = serviceName(process);
    const { options } = process;
    const { place } = options.section;
    if (!name.endsWith(process.name)) options.remark("note", "process_name", `called ${name} here`);
    const other = places.get(name);
    if (other) {
      const text = `another service is called ${name}, too: that of ${other.file}:${other.line}`;
      remarks.add("error", place, `${process.program}: ${text}`);
    }
    places.set(name, place);
    services.set(name, serviceFiles(process, config, context, shared));
  }
  return services;
}

function say(remarks: Remarks, quiet: boolean): void {
  for (const { kind, place, text } of remarks.list) {
    if (quiet && kind === "note") continue;
    complain(NAME, escapeBytes(`${place.file}:${place.line}: ${text}`));
  }
}

/** Each file with its name and its mode above it. Returns what could not be written. */
function show(dir: string, services: ReadonlyMap<string, ServiceFiles>): string[] {
  for (const [name, files] of services) {
    for (const [file, { text, mode }] of Object.entries(files)) {
      out(`==> ${escapeBytes(`${dir}/${name}/${file}`)} (${mode.toString(8)}) <==\n${text}\n`);
    }
  }
  return [...services.keys()].filter((name) => isThere(`${dir}/${name}`));
}

// -------------------------------------------------------------- this system

function read(path: string): string {
  const text = libc.readFile(path);
  return typeof text === "string" ? text : "";
}

function thisSystem(): System {
  const variables = environment().map((variable) => {
    const [name = "", ...value] = variable.split("=");
    return [name, value.join("=")] as const;
  });
  return {
    environment: new Map(variables),
    hostName: read("/proc/sys/kernel/hostname").trim(),
    accounts: new Accounts(read("/etc/passwd"), read("/etc/group")),
  };
}

function contextOf({ accounts }: System, { files }: Source): Context {
  const uid = process.geteuid?.() ?? 0;
  return {
    accounts,
    chpst: ownChpst(),
    ownUid: uid === 0 ? null : uid,
    home: getenv("HOME") ?? accounts.find(`${uid}`)?.home ?? "/",
    secret: files.some((file) => !isForEverybody(file)),
  };
}

function isForEverybody(file: string): boolean {
  const stat = libc.stat(file);
  return typeof stat !== "number" && (stat.mode & 0o004) !== 0;
}

/** By name, if that is ours on PATH and not the one of runit. */
function ownChpst(): string {
  const found = libc.stat(findProgram("chpst") ?? "");
  const self = libc.stat("/proc/self/exe");
  if (typeof found === "number" || typeof self === "number") return beside();
  return found.ino === self.ino && found.dev === self.dev ? "chpst" : beside();
}

function beside(): string {
  return `${(ownPath() ?? "/usr/bin/sysmgr-import").replace(/[^/]*$/s, "")}chpst`;
}

const disk: Disk = {
  list: (directory) => {
    const names = libc.readDirectory(directory);
    if (typeof names !== "number") return names;
    const none = names === -libc.E.NOENT || names === -libc.E.NOTDIR;
    return none ? [] : { reason: libc.strerror(names) };
  },
  exists: isThere,
  read: (path) => {
    const fd = libc.openat(libc.AT_FDCWD, path, libc.O.RDONLY | libc.O.NONBLOCK);
    if (fd < 0) return { reason: libc.strerror(fd) };
    const stat = libc.fstat(fd);
    const text = typeof stat !== "number" && stat.isFile ? libc.readAll(fd) : null;
    libc.close(fd);
    return typeof text === "number" ? { reason: libc.strerror(text) } : text;
  },
};
