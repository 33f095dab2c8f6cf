/** Where pmtr's messages go: to the system log, or to standard error. */
import { getenv } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import { Log } from "../../log.ts";
import type { Level } from "../../transition.ts";

export type { Level } from "../../transition.ts";

export type Messages = { write(level: Level, text: string): void };

/** LOG_DAEMON, and severities of syslog(3). */
const FACILITY = 3;
const SEVERITY: Record<Level, number> = { error: 3, info: 6, debug: 7 };
const RANK: Record<Level, number> = { error: 0, info: 1, debug: 2 };

const SOCKET = "/dev/log";
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** `foreground`: on a terminal or in a container standard error is read, and syslog is not. */
export function openMessages(foreground: boolean, level: Level): Messages {
  const toStandardError = foreground && (libc.isTerminal(2) || inContainer());
  return toStandardError ? new Log("pmtr", level) : new SystemLog(level, foreground);
}

function inContainer(): boolean {
  if (process.pid === 1 || getenv("container") !== undefined) return true;
  return ["/.dockerenv", "/run/.containerenv"].some((p) => typeof libc.stat(p) !== "number");
}

/** Where no daemon listens, what it would have been told goes to standard error, if anybody has that. */
class SystemLog implements Messages {
  private readonly fd = libc.localSocket();
  private readonly otherwise: Log | null;

  constructor(
    private readonly level: Level,
    foreground: boolean,
  ) {
    this.otherwise = foreground ? new Log("pmtr", level) : null;
  }

  write(level: Level, text: string): void {
    if (RANK[level] > RANK[this.level]) return;
    const bytes = Buffer.from(syslogLine(level, text, libc.wallTime().seconds), "latin1");
    if (libc.sendToPath(this.fd, bytes, SOCKET) < 0) this.otherwise?.write(level, text);
  }
}

/** One datagram for syslogd, as syslog(3) of the C library sends it. */
export function syslogLine(level: Level, text: string, seconds: number): string {
  const time = libc.localTime(BigInt(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const clock = time ? [time.hour, time.minute, time.second].map(two).join(":") : "00:00:00";
  const day = String(time?.day ?? 1).padStart(2);
  const priority = FACILITY * 8 + SEVERITY[level];
  return `<${priority}>${MONTHS[time?.month ?? 0]} ${day} ${clock} pmtr[${process.pid}]: ${text}`;
}
