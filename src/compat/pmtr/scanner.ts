/**
 * The process that supervises the jobs: the scanner of sysmgr(8), as a child of pmtr.
 */
import { parseCount } from "../../bytes.ts";
import { cleanEnvironment, enterRuntimeEnvironment, ownCommand } from "../../environment.ts";
import * as libc from "../../libc.ts";
import { O } from "../../libc.ts";
import type { RunDir } from "../../rundir.ts";
import { supervise } from "../../sysmgr.ts";
import { openNull } from "../background.ts";
import { ScannerChild } from "../scanner-child.ts";
import type { Level, Messages } from "./messages.ts";
import { type Place, placeIn } from "./place.ts";
import { JobSource } from "./store.ts";

/** The first argument of a pmtr that is to be the scanner. */
export const SCANNER = "--scanner";

/** Arguments: the directory of state, the level of messages, the services' limit of descriptors. */
export function main([dir = "", level = "", nofile = ""]: string[]): Promise<number> {
  enterRuntimeEnvironment();
  const { sysdir, rundir } = placeIn(dir);
  return supervise(new JobSource(sysdir), rundir, {
    program: "pmtr",
    level: level === "debug" ? "debug" : "info",
    nofile: parseCount(nofile),
    sysdir,
  });
}

export type ScannerOptions = {
  readonly level: Level;
  readonly nofile: number;
  /** It, and so the jobs, have our stdin, stdout and stderr. */
  readonly inherit: boolean;
};

/** The scanner of these jobs, which tells of itself through the pipe for messages. */
export function scannerOf(
  place: Place,
  rundir: RunDir,
  options: ScannerOptions,
  messages: Messages,
  onReplaced: () => void,
): ScannerChild {
  return new ScannerChild(rundir, {
    spawn: () => spawn(place, options),
    what: "jobs",
    complain: (text) => messages.write("error", text),
    onReplaced,
  });
}

function spawn(place: Place, { level, nofile, inherit }: ScannerOptions): number {
  const args = [SCANNER, place.dir, level, String(nofile)];
  const none = openNull();
  // Open for both, so that no reader is missed when we die.
  const messages = libc.openat(libc.AT_FDCWD, place.messages, O.RDWR);
  const silent = [
    [none, 0],
    [none, 1],
    [messages, 2],
  ] as const;
  const pid = libc.spawn({
    path: "/proc/self/exe",
    argv: [...ownCommand("pmtr"), ...args],
    env: new libc.Strings(cleanEnvironment()),
    fds: inherit ? [] : silent,
    limits: libc.getFileLimits(),
    umask: process.umask(),
  });
  libc.close(none);
  libc.close(messages);
  return pid;
}

/** Reads what the scanner says, and hands it on line by line. */
export class MessagePipe {
  private readonly fd: number;
  private rest = "";

  constructor(
    place: Place,
    private readonly onLine: (line: string) => void,
  ) {
    this.fd = libc.openat(libc.AT_FDCWD, place.messages, O.RDWR | O.NONBLOCK);
    if (this.fd >= 0) void this.readForEver();
  }

  /** What is there now. */
  drain(): void {
    for (let text = libc.readText(this.fd); typeof text === "string" && text !== ""; ) {
      this.take(text);
      text = libc.readText(this.fd);
    }
  }

  private async readForEver(): Promise<void> {
    const reader = Bun.file(this.fd).stream().getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.take(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1"));
    }
  }

  private take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = (lines.pop() ?? "").slice(-10_000);
    for (const line of lines) this.onLine(line);
  }
}
