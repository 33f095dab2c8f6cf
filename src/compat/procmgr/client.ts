/** The client: makes a request, and does what the answer says. */
import { CLIENT_POLL, REQUEST_LIMIT } from "../../../config.ts";
import { escapeBytes } from "../../bytes.ts";
import { complain, Failure, out } from "../../cli.ts";
import { createFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { IN, O } from "../../libc.ts";
import * as proc from "../../proc.ts";
import { ownProcess } from "../../rundir.ts";
import type { ProcessId } from "../../status.ts";
import { readBounded } from "./files.ts";
import { findDaemon, type Place } from "./place.ts";
import { Relay } from "./relay.ts";
import {
  ANSWER,
  type Answer,
  COPY,
  FIFOS,
  formatRequest,
  parseAnswer,
  REQUEST,
  TROUBLE,
  UNFINISHED,
} from "./request.ts";

/** Looked at this often, in case an event was lost. */
const LOOK_INTERVAL = 1_000;

/** A daemon that was killed is awaited so long: the next one answers. */
const REPLACEMENT_LIMIT = 10_000;

const ANSWER_LIMIT = 65_536;

/** Has an action done; resolves to the exit code. Throws Failure. */
export function request(
  place: Place,
  program: string,
  action: string,
  args: readonly string[],
): number {
  const daemon = findDaemon(place);
  if (!daemon) throw new Failure(`no daemon works at ${place.socket}`, TROUBLE);
  const client = ownProcess();
  const text = formatRequest({ client, program, action, args });
  if (text.length > REQUEST_LIMIT) throw new Failure("the arguments are too long", TROUBLE);
  const pending = new Pending(place, text);
  try {
    const { code, out: said, error } = pending.await(daemon);
    if (said !== undefined) out(said);
    if (error !== undefined) complain("procmgr", escapeBytes(error));
    return code;
  } finally {
    pending.remove();
  }
}

/** A request of ours in the spool. */
class Pending {
  private readonly path: string;
  private readonly dir: number;
  private readonly fifos: number[];
  private readonly events: number;

  constructor(
    private readonly place: Place,
    text: string,
  ) {
    // What we make has exactly the mode that is asked for.
    process.umask(0);
    const name = `${process.pid}.${Math.random().toString(36).slice(2)}`;
    const staged = `${place.spool}/${UNFINISHED}${name}`;
    this.path = `${place.spool}/${name}`;
    this.must(libc.mkdirat(libc.AT_FDCWD, staged, 0o700));
    // Some file systems give it the group of the spool.
    libc.chgrpat(libc.AT_FDCWD, staged, process.getegid?.() ?? 0);
    this.dir = this.must(libc.openat(libc.AT_FDCWD, staged, O.RDONLY | O.DIRECTORY | O.NOFOLLOW));
    for (const fifo of FIFOS) this.must(libc.mkfifoat(this.dir, fifo, 0o600));
    // Open for both, so that neither end waits for the other.
    this.fifos = FIFOS.map((fifo) => libc.openat(this.dir, fifo, O.RDWR | O.NONBLOCK));
    this.must(createFile(REQUEST, text, 0o600, this.dir));
    this.events = libc.inotifyInit();
    libc.inotifyAdd(this.events, staged, IN.MOVED_TO | IN.CREATE);
    this.must(libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, this.path));
  }

  private must(code: number): number {
    if (code >= 0) return code;
    throw new Failure(
      `cannot make a request in ${this.place.spool}: ${libc.strerror(code)}`,
      TROUBLE,
    );
  }

  /** Waits for the answer, and copies what goes to and from the script if it has to. */
  await(first: ProcessId): Answer {
    let daemon: ProcessId | null = first;
    let gone: number | null = null;
    let relay: Relay | null = null;
    for (;;) {
      if (!relay && this.isThere(COPY)) relay = new Relay(this.fifos);
      const answer = this.answer();
      if (answer) {
        relay?.drain();
        return answer;
      }
      if (!daemon || !proc.isAlive(daemon.pid, daemon.started)) {
        daemon = findDaemon(this.place);
        gone = daemon ? null : (gone ?? performance.now());
        if (gone !== null && performance.now() > gone + REPLACEMENT_LIMIT) {
          throw new Failure("the daemon has ended; the request was withdrawn", TROUBLE);
        }
      }
      const interests = [{ fd: this.events }, ...(relay?.interests ?? [])];
      const interval = this.events < 0 ? CLIENT_POLL : LOOK_INTERVAL;
      const [event, ...ready] = libc.waitAny(interests, interval);
      if (event) libc.readText(this.events);
      relay?.copy(ready);
    }
  }

  private isThere(file: string): boolean {
    return typeof libc.lstat(file, this.dir) !== "number";
  }

  private answer(): Answer | null {
    const text = readBounded(this.dir, ANSWER, ANSWER_LIMIT);
    if (typeof text === "string") return parseAnswer(text) ?? { code: TROUBLE };
    if (text !== -libc.E.NOENT) return { code: TROUBLE, error: libc.strerror(text) };
    // So it is done with requests of clients that have ended.
    return this.isRemoved()
      ? { code: TROUBLE, error: "the daemon does not see this process" }
      : null;
  }

  private isRemoved(): boolean {
    const stat = libc.fstat(this.dir);
    return typeof stat !== "number" && stat.links === 0;
  }

  remove(): void {
    const names = libc.readDirectory(".", this.dir);
    for (const name of typeof names === "number" ? [] : names) libc.unlinkat(this.dir, name);
    libc.rmdirat(libc.AT_FDCWD, this.path);
  }
}
