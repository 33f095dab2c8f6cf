/** What supervisord, and what we, make of configuration files. */
import { readFileSync } from "node:fs";
import { Accounts } from "../../src/import/accounts.ts";
import { buildConfig, type Config } from "../../src/import/config.ts";
import { Names } from "../../src/import/expand.ts";
import type { Process } from "../../src/import/program.ts";
import { type Disk, readConfiguration } from "../../src/import/read.ts";
import { type Remark, Remarks } from "../../src/import/remarks.ts";
import { exists, list, read } from "../lib/files.ts";

const PYTHON = "/usr/bin/python3";
const ORACLE = `${import.meta.dir}/oracle.py`;

export const haveSupervisor = works(PYTHON, "-c", "import supervisor.options");

function works(...command: string[]): boolean {
  try {
    return Bun.spawnSync(command, { stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
  } catch {
    return false;
  }
}

export const ENVIRONMENT = {
  PATH: "/usr/bin:/bin",
  HOME: "/root",
  LC_ALL: "C.UTF-8",
  EMPTY: "",
  GREETING: "good day",
  QUOTES: `it's "so"`,
  PERCENT: "50%",
};

/** By its keys; null: it does not accept the file. */
export type Understood = Readonly<Record<string, unknown>>[] | null;

export async function supervisorUnderstands(paths: readonly string[]): Promise<Understood[]> {
  const child = Bun.spawn([PYTHON, ORACLE], {
    env: ENVIRONMENT,
    stdin: Buffer.from(paths.map((path) => `${path}\n`).join("")),
    stdout: "pipe",
    stderr: "ignore",
  });
  const lines = (await child.stdout.text()).trimEnd().split("\n");
  return lines.map((line) => inOrder(JSON.parse(line)));
}

const disk: Disk = {
  list,
  exists,
  read: (path) => read(path) ?? { reason: "No such file or directory" },
};

const accounts = new Accounts(
  readFileSync("/etc/passwd", "latin1"),
  readFileSync("/etc/group", "latin1"),
);

/** What we read in a file, and what there is to say about it. */
export function parse(path: string): { config: Config; remarks: readonly Remark[] } {
  const environment = new Map(Object.entries(ENVIRONMENT));
  const hostName = readFileSync("/proc/sys/kernel/hostname", "latin1").trim();
  const remarks = new Remarks();
  const names = Names.ofEnvironment(environment).with([["host_node_name", hostName]]);
  const source = readConfiguration(path, disk, names, remarks);
  if ("reason" in source) throw new Error(source.reason);
  const system = { environment, hostName, accounts };
  const config = buildConfig(source.ini, source.here, system, remarks);
  return { config, remarks: remarks.list };
}

export function weUnderstand(path: string): Understood {
  const { config, remarks } = parse(path);
  if (remarks.some(({ kind }) => kind === "error")) return null;
  return inOrder(config.processes.map((process) => shown(process, config)));
}

function shown(process: Process, { supervisor }: Config): Record<string, unknown> {
  const { program: _, options, user, events, environment, stderr, ...rest } = process;
  return {
    ...rest,
    uid: user === null ? null : (accounts.find(user)?.uid ?? -1),
    environment: Object.fromEntries([...supervisor.environment, ...environment]),
    stderr: process.redirectStderr ? { ...stderr, file: null } : stderr,
  };
}

function inOrder(processes: Understood): Understood {
  const key = ({ group, name }: Readonly<Record<string, unknown>>) => `${group}:${name}`;
  return processes && [...processes].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
