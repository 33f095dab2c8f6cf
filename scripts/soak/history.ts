// What happened, as seen from outside: the lives of services (by what they wrote and by /proc),
// what was asked for, and what was done to sysmgr.
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { lives, seconds, uptime } from "./proc.ts";

/** What a stop marker says. */
export type Value = "up" | "down" | "once";

export interface Note {
  readonly word: string;
  readonly at: number;
  readonly text: string;
}

export interface Life {
  readonly pid: number;
  readonly ticks: number;
  readonly start: number;
  readonly parent: number;
  readonly notes: Note[];
  /** Until when it was certainly there. */
  alive: number;
  /** When it was certainly gone. */
  ended: number | null;
  judged: boolean;
}

export interface Request {
  readonly what: string;
  readonly service: string;
  readonly sent: number;
  /** When it was answered; infinite while it may still take effect. */
  done: number;
  /** What it makes of the stop marker; null: nothing. */
  effect: Value | null;
  /** False: whether it takes effect is not known. */
  sure: boolean;
  /** It may end a life, and may do it with KILL. */
  stops: boolean;
  kills: boolean;
  /** Seconds after its answer in which sysmgr may still be about to act on it. */
  readonly slack: number;
  /** Exit 0: what svctl waited for was so. */
  reached: boolean;
  readonly operation: string;
  judged: boolean;
}

export type Complain = (service: string | null, what: string) => void;

export class History {
  readonly lives = new Map<string, Life[]>();
  readonly requests = new Map<string, Request[]>();
  readonly events: { at: number; text: string }[] = [];
  readonly words = new Map<string, number>();
  private readonly fd: number;
  private readonly buffer = Buffer.alloc(1 << 16);
  private partial = "";

  constructor(
    path: string,
    private readonly complain: Complain,
  ) {
    writeFileSync(path, "");
    this.fd = openSync(path, "r");
  }

  close(): void {
    closeSync(this.fd);
  }

  /** Takes in what services wrote since the last look, and who is still there. */
  look(): void {
    // First who is gone, then the lines: so the last words of whoever is gone are known, too.
    for (const all of this.lives.values()) {
      const last = all.at(-1);
      if (last && last.ended === null) this.follow(last);
    }
    for (let length = 1; length > 0; ) {
      length = readSync(this.fd, this.buffer);
      const lines = (this.partial + this.buffer.toString("latin1", 0, length)).split("\n");
      this.partial = lines.pop() ?? "";
      for (const line of lines) this.take(line);
    }
  }

  livesOf(service: string): Life[] {
    return getOrMake(this.lives, service);
  }

  requestsOf(service: string): Request[] {
    return getOrMake(this.requests, service);
  }

  running(service: string): Life | null {
    const last = this.livesOf(service).at(-1);
    return last && last.ended === null ? last : null;
  }

  event(text: string): void {
    this.events.push({ at: uptime(), text });
  }

  /** Everything about a service in the order of time, the last so many lines of it. */
  tell(service: string, lines: number): string[] {
    const told: { at: number; text: string }[] = this.events.filter(
      ({ at }) => at > uptime() - 120,
    );
    for (const life of this.livesOf(service)) {
      told.push({ at: life.start, text: `pid ${life.pid} started by ${life.parent}` });
      for (const note of life.notes)
        told.push({ at: note.at, text: `pid ${life.pid} ${note.word} ${note.text}` });
      if (life.ended !== null)
        told.push({ at: life.ended, text: `pid ${life.pid} gone (there at ${life.alive})` });
    }
    for (const request of this.requestsOf(service)) {
      const { what, sent, done, reached, sure } = request;
      told.push({ at: sent, text: `${what}: asked` });
      const how = `${reached ? "reached" : "not reached"}${sure ? "" : ", effect not known"}`;
      if (Number.isFinite(done)) told.push({ at: done, text: `${what}: answered, ${how}` });
    }
    return told
      .sort((a, b) => a.at - b.at)
      .slice(-lines)
      .map(({ at, text }) => `${at.toFixed(2)} ${text}`);
  }

  private follow(life: Life): void {
    const now = uptime();
    if (lives(life.pid, life.ticks)) life.alive = now;
    else life.ended = now;
  }

  private take(line: string): void {
    const [service = "", word = "", pidText, atText, ...rest] = line.split(" ");
    const [pid, at] = [Number(pidText), Number(atText)];
    this.words.set(word, (this.words.get(word) ?? 0) + 1);
    if (word === "overlap") {
      return this.complain(service, `two at once: ${pid} was started while ${rest[0]} lived`);
    }
    const all = this.livesOf(service);
    if (word !== "start") {
      const life = all.findLast((each) => each.pid === pid);
      life?.notes.push({ word, at, text: rest.join(" ") });
      if (life) life.alive = Math.max(life.alive, at);
      return;
    }
    const ticks = Number(rest[0]);
    const start = seconds(ticks);
    const before = all.at(-1);
    if (before && before.ended === null) {
      this.follow(before);
      if (before.ended === null)
        this.complain(service, `two at once: ${pid} was started while ${before.pid} lives`);
      // Seen late: it was gone before the next one came.
      before.ended = Math.max(before.alive, start);
    }
    const parent = Number(rest[1]);
    all.push({ pid, ticks, start, parent, notes: [], alive: at, ended: null, judged: false });
  }
}

function getOrMake<K, V>(map: Map<K, V[]>, key: K): V[] {
  const found = map.get(key);
  if (found) return found;
  const made: V[] = [];
  map.set(key, made);
  return made;
}
