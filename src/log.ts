/**
 * The supervisor's messages: whole lines on standard error, never waiting for a reader.
 *
 * Services may share our standard error, so its O_NONBLOCK is not ours to set. A pipe or a
 * terminal is opened once more, without waiting; where that is refused (a socket), we write only
 * when poll(2) says that a write of up to PIPE_BUF bytes would not block.
 */
import { HEAL_INTERVAL, LOG_BUFFER } from "../config.ts";
import { wholeLines } from "./bytes.ts";
import * as libc from "./libc.ts";
import type { Level } from "./transition.ts";

const RANK: Record<Level, number> = { error: 0, info: 1, debug: 2 };
const STDERR = 2;

export class Log {
  private waiting = "";
  private dropped = 0;
  private timer: Timer | null = null;
  private readonly fd = openAgain(STDERR);

  constructor(
    private readonly program: string,
    private readonly level: Level,
  ) {}

  /** One event, one line; the text is escaped by who puts foreign bytes into it. */
  write(level: Level, text: string): void {
    if (RANK[level] > RANK[this.level]) return;
    const line = `${this.program}: ${text}\n`;
    if (this.waiting.length + line.length > LOG_BUFFER) this.dropped++;
    else this.waiting += line;
    this.flush();
  }

  private flush(): void {
    while (this.waiting !== "" && libc.writable(this.fd)) {
      const n = libc.writeText(this.fd, wholeLines(this.waiting));
      if (n === -libc.E.AGAIN || n === -libc.E.INTR) break;
      // Nobody will ever read it: messages are not worth stopping for.
      this.waiting = n < 0 ? "" : this.waiting.slice(n);
    }
    if (this.waiting === "" && this.dropped > 0) {
      this.waiting = `${this.program}: ${this.dropped} messages were lost: standard error was stuck\n`;
      this.dropped = 0;
    }
    if (this.waiting !== "") {
      this.timer ??= setTimeout(() => {
        this.timer = null;
        this.flush();
      }, HEAL_INTERVAL);
    }
  }
}

/** A description of our own of the same pipe or terminal, or the descriptor itself. */
function openAgain(fd: number): number {
  const stat = libc.fstat(fd);
  if (typeof stat === "number" || !(stat.isFifo || stat.isCharacterDevice)) return fd;
  const flags = libc.O.WRONLY | libc.O.NONBLOCK | libc.O.NOCTTY;
  const again = libc.openat(libc.AT_FDCWD, `/proc/self/fd/${fd}`, flags);
  return again < 0 ? fd : again;
}
