/** What is open: waiting for it, locks, terminals, sockets, pipes, inotify. */
import { c, cstr, result } from "./binding.ts";
import { E, O } from "./constants.ts";
import { blockSignals, SIGNALS, unblockSignals } from "./signals.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const POLLIN = 1;
const POLLOUT = 4;
const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_DGRAM = 2;

/** What poll(2) is to wait for with a descriptor; any fd below 0 is passed over. */
export type Interest = { readonly fd: number; readonly write?: boolean };

/** Descriptors to wait for together, again and again. */
export class PollSet {
  private readonly set: Int32Array;

  constructor(private readonly interests: readonly Interest[]) {
    // struct pollfd: the descriptor, then what is asked for and what is so, 16 bits each.
    this.set = new Int32Array(new ArrayBuffer(8 * interests.length));
    for (const [i, { fd, write }] of interests.entries()) {
      this.set.set([fd, write ? POLLOUT : POLLIN], 2 * i);
    }
  }

  /**
   * Waits for any of them, at most so many milliseconds (-1: for ever). For each: is it ready, or at
   * its end? None is after a signal.
   */
  wait(milliseconds: number): boolean[] {
    const count = c.poll(this.set, this.interests.length, milliseconds);
    return this.interests.map((_, i) => count > 0 && (this.set[2 * i + 1] ?? 0) >>> 16 !== 0);
  }
}

/** The same once. */
export function waitAny(interests: readonly Interest[], milliseconds: number): boolean[] {
  return new PollSet(interests).wait(milliseconds);
}

/** True when a write of up to PIPE_BUF bytes to the descriptor would not block now. */
export function writable(fd: number): boolean {
  return waitAny([{ fd, write: true }], 0)[0] === true;
}

/** True when nobody can ever read what is written there: a pipe without readers, or a hung up terminal. */
export function isBroken(fd: number): boolean {
  // POLLERR and POLLHUP need not be asked for.
  return c.poll(new Int32Array([fd, 0]), 1, 0) > 0;
}

/** Waits until the descriptor takes more. */
export function waitWritable(fd: number): void {
  waitAny([{ fd, write: true }], -1);
}

/** Takes the exclusive lock of an open file without waiting; -E.AGAIN when another has it. */
export function lockNow(fd: number): number {
  return result(c.flock(fd, LOCK_EX | LOCK_NB));
}

/** Takes it, waiting until nobody else has it. */
export function lock(fd: number): number {
  for (;;) {
    const code = result(c.flock(fd, LOCK_EX));
    if (code !== -E.INTR) return code;
  }
}

/** True for a terminal. (node:tty would load its streams: 3 ms.) */
export function isTerminal(fd: number): boolean {
  return c.isatty(fd) === 1;
}

/** Our own process group. */
export function processGroup(): number {
  return c.getpgid(0);
}

/** The process group in the foreground of a terminal that is ours; minus the errno if it is not. */
export function foreground(fd: number): number {
  return result(c.tcgetpgrp(fd));
}

/** Puts a process group there, even from the background. */
export function setForeground(fd: number, group: number): number {
  blockSignals([SIGNALS.TTOU]);
  const code = result(c.tcsetpgrp(fd, group));
  unblockSignals();
  return code;
}

export function setCloseOnExec(fd: number, on: boolean): number {
  return result(c.fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

/** Reads and writes wait from now on, for whoever shares the open file. */
export function makeBlocking(fd: number): number {
  const flags = result(c.fcntl(fd, F_GETFL, 0));
  return flags < 0 ? flags : result(c.fcntl(fd, F_SETFL, flags & ~O.NONBLOCK));
}

/** Another descriptor for the same file, with a number from `least` on; close-on-exec. */
export function duplicateFrom(fd: number, least: number): number {
  return result(c.fcntl(fd, F_DUPFD_CLOEXEC, least));
}

/** Puts a file into the place of a descriptor; the programs that we start inherit it. */
export function duplicateTo(fd: number, place: number): number {
  return result(c.dup2(fd, place));
}

/** A socket for datagrams over IPv4. */
export function datagramSocket(): number {
  return result(c.socket(AF_INET, SOCK_DGRAM | O.CLOEXEC, 0));
}

/** Sends a datagram; the address is that of four numbers. Returns the bytes sent. */
export function sendTo(
  fd: number,
  bytes: Uint8Array,
  address: readonly number[],
  port: number,
): number {
  // struct sockaddr_in: family (of the machine's order), port and address (of the network's).
  const to = new Uint8Array([
    AF_INET,
    0,
    port >> 8,
    port & 0xff,
    ...address,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  return result(Number(c.sendto(fd, bytes, bytes.length, 0, to, to.length)));
}

/** A socket for datagrams to other processes of this machine, which never waits. */
export function localSocket(): number {
  return result(c.socket(AF_UNIX, SOCK_DGRAM | O.CLOEXEC | O.NONBLOCK, 0));
}

/** Sends a datagram to the socket at a path. Returns the bytes sent. */
export function sendToPath(fd: number, bytes: Uint8Array, path: string): number {
  // struct sockaddr_un: family (of the machine's order), then the path and its end.
  const to = new Uint8Array([AF_UNIX, 0, ...Buffer.from(`${path}\0`, "latin1")]);
  return result(Number(c.sendto(fd, bytes, bytes.length, 0, to, to.length)));
}

/** A pipe: its reading and its writing end, both close-on-exec; neither waits, by default. */
export function pipe(flags: number = O.NONBLOCK): { read: number; write: number } | number {
  const ends = new Int32Array(2);
  const code = result(c.pipe2(ends, O.CLOEXEC | flags));
  return code < 0 ? code : { read: ends[0] ?? -1, write: ends[1] ?? -1 };
}

// ------------------------------------------------------------------ inotify

/** A close-on-exec, non-blocking inotify instance. */
export function inotifyInit(): number {
  return result(c.inotify_init1(O.NONBLOCK | O.CLOEXEC));
}

export function inotifyAdd(fd: number, path: string, mask: number): number {
  return result(c.inotify_add_watch(fd, cstr(path), mask));
}

export function inotifyRemove(fd: number, watch: number): number {
  return result(c.inotify_rm_watch(fd, watch));
}
