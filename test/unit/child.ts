/** Children for tests: started and reaped as the scanner does it, any bytes in all arguments. */
import { readFileSync } from "node:fs";
import * as libc from "../../src/libc.ts";
import { raw } from "../lib/files.ts";
import { until } from "../lib/until.ts";

const ended = new Map<number, libc.WaitStatus>();

/** How a child of ours has ended; undefined while it runs. */
export function exitOf(pid: number): libc.WaitStatus | undefined {
  for (let child = libc.reap(); child; child = libc.reap()) ended.set(child.pid, child.status);
  return ended.get(pid);
}

export async function ending(pid: number): Promise<libc.WaitStatus> {
  const status = await until(() => exitOf(pid), `the end of ${pid}`);
  ended.delete(pid);
  return status;
}

/** What a test asks for: as libc.spawn does, but with defaults. */
export type Child = Partial<Omit<libc.SpawnRequest, "env">> & { readonly env?: readonly string[] };

export function spawn(child: Child): number {
  return libc.spawn({
    path: "/bin/sh",
    argv: ["sh", "-c", "exit 0"],
    fds: [],
    limits: { soft: 1024, hard: libc.getFileLimits().hard },
    umask: 0o022,
    ...child,
    env: new libc.Strings(child.env ?? ["PATH=/usr/bin:/bin"]),
  });
}

/** Starts a child with its standard output and error in that file; returns its pid. */
export function launch(file: string, child: Child): number {
  const flags = libc.O.WRONLY | libc.O.CREAT | libc.O.TRUNC | libc.O.APPEND;
  const fd = libc.openat(libc.AT_FDCWD, file, flags, 0o644);
  const pid = spawn({ ...child, fds: [[fd, 1], [fd, 2], ...(child.fds ?? [])] });
  libc.close(fd);
  if (pid < 0) throw new Error(`cannot spawn: ${libc.strerror(pid)}`);
  return pid;
}

/** What a child wrote, once it has ended. */
export async function outputOf(file: string, child: Child): Promise<string> {
  await ending(launch(file, child));
  return readFileSync(raw(file), "latin1");
}

export function sh(script: string, ...args: string[]): Child {
  return { argv: ["sh", "-c", script, "sh", ...args] };
}

/** Something that only runs. */
export const idle: Child = { path: "/bin/sleep", argv: ["sleep", "60"] };

/** A TypeScript file of ours in a process of its own. */
export function script(name: string, ...args: string[]): Child {
  return { path: process.execPath, argv: ["bun", `${import.meta.dir}/${name}`, ...args] };
}
