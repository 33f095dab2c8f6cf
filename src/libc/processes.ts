/** Processes: to start, signal and bury them, and to become another program. */
import { addressOf, c, cstr, result, Strings } from "./binding.ts";
import { E, O } from "./constants.ts";

const RLIMIT_NOFILE = 7;
const WNOHANG = 1;
const PR_SET_NAME = 15;
const PR_SET_CHILD_SUBREAPER = 36;
const SPAWN_SETPGROUP = 0x02;
const SPAWN_SETSIGDEF = 0x04;
const SPAWN_SETSIGMASK = 0x08;
const SPAWN_SETSID = 0x80;
// Past 402 the numbers of system calls are the same on every architecture.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
const SYS_pidfd_getfd = 438;

export function kill(pid: number, signal: number): number {
  return result(c.kill(pid, signal));
}

/** A descriptor that stands for the process; it becomes readable when that one ends. */
export function pidfdOpen(pid: number): number {
  return result(c.syscall(SYS_pidfd_open, pid, O.NONBLOCK, 0, 0, 0));
}

/** Signals exactly the process that the descriptor stands for, never a successor of its pid. */
export function pidfdKill(pidfd: number, signal: number): number {
  return result(c.syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0, 0));
}

/** Another descriptor for what that process has open under a number; close-on-exec. */
export function pidfdTake(pidfd: number, fd: number): number {
  return result(c.syscall(SYS_pidfd_getfd, pidfd, fd, 0, 0, 0));
}

/** The session of a process (0: our own). */
export function getsid(pid: number): number {
  return result(c.getsid(pid));
}

/** How a process ended: exactly one of the two is set. */
export type WaitStatus = { readonly code: number | null; readonly signal: number | null };

const waitBuffer = new Int32Array(new ArrayBuffer(4));

/** Reaps one ended child, if there is one: its pid and how it ended. */
export function reap(): { pid: number; status: WaitStatus } | null {
  const pid = c.waitpid(-1, waitBuffer, WNOHANG);
  return pid <= 0 ? null : { pid, status: waitStatus() };
}

const P_PID = 1;
const WNOHANG_WSTOPPED = 1 | 2;
const CLD_STOPPED = 5;
const siginfo = new Int32Array(new ArrayBuffer(128));

/** The signal that has stopped a child since this was last asked; 0: none has. */
export function stoppedBy(pid: number): number {
  siginfo.fill(0);
  c.waitid(P_PID, pid, siginfo, WNOHANG_WSTOPPED);
  // si_code, and si_status of siginfo_t for SIGCHLD.
  return siginfo[2] === CLD_STOPPED ? (siginfo[6] ?? 0) : 0;
}

/** Waits for the end of a child. */
export function waitFor(pid: number): WaitStatus | number {
  for (;;) {
    const code = result(c.waitpid(pid, waitBuffer, 0));
    if (code !== -E.INTR) return code < 0 ? code : waitStatus();
  }
}

function waitStatus(): WaitStatus {
  const raw = waitBuffer[0] ?? 0;
  const signal = raw & 0x7f;
  return signal ? { code: null, signal } : { code: (raw >> 8) & 0xff, signal: null };
}

/** Orphans below us become our children (prctl(2)), so that they can be reaped. */
export function becomeSubreaper(): number {
  return result(c.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/** What ps(1) and pgrep(1) call us: 15 bytes of it. */
export function setProcessName(name: string): void {
  c.prctl(PR_SET_NAME, addressOf(cstr(name)), 0, 0, 0);
}

/** Becomes another program; returns only when that failed. */
export function execve(path: string, argv: readonly string[], env: readonly string[]): number {
  return execveWith(path, new Strings(argv), new Strings(env));
}

/** The same when there may be no memory any more. */
export function execveWith(path: string, argv: Strings, env: Strings): number {
  return result(c.execve(cstr(path), argv.pointers, env.pointers));
}

export type SpawnRequest = {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Strings;
  /** Our descriptor for each of the child's, by the child's number; others are inherited 0-2. */
  readonly fds: readonly (readonly [from: number, to: number])[];
  readonly cwd?: string;
  /** The limits on open descriptors and the umask that the child gets, not necessarily ours. */
  readonly limits: Limits;
  readonly umask: number;
  /** It stays in our session, and dies with it; `group`: in a process group of its own. */
  readonly sameSession?: boolean | "group";
};

// The attributes never change but for the session: all signals at default and unblocked.
let spawnAttributes: Uint8Array | null = null;

function attributes(): Uint8Array {
  if (spawnAttributes) return spawnAttributes;
  // Larger than either libc's posix_spawnattr_t (336) and sigset_t (128).
  const attr = new Uint8Array(new ArrayBuffer(512));
  // Not by sigfillset: that leaves out two that glibc uses, and they would be ignored.
  const all = new Uint8Array(new ArrayBuffer(128)).fill(0xff);
  const none = new Uint8Array(new ArrayBuffer(128));
  c.posix_spawnattr_init(attr);
  c.posix_spawnattr_setsigdefault(attr, all);
  c.posix_spawnattr_setsigmask(attr, none);
  spawnAttributes = attr;
  return attr;
}

const spawnedPid = new Int32Array(new ArrayBuffer(4));
// Larger than either libc's posix_spawn_file_actions_t (80).
const fileActions = new Uint8Array(new ArrayBuffer(256));

/**
 * Starts a program, in a session of its own unless told otherwise, with every signal at default and unblocked.
 * Returns its pid once the program itself runs, or minus the errno of the step that failed
 * (execve's included). A file without #! is given to /bin/sh, as execvp(3) does.
 */
export function spawn(request: SpawnRequest): number {
  // Inherited, as the limits are, and posix_spawn has no attribute for it: ours is theirs for a moment.
  const umask = process.umask(request.umask);
  let code = spawnOnce(request.path, request.argv, request);
  if (code === -E.NOEXEC) {
    code = spawnOnce("/bin/sh", ["/bin/sh", request.path, ...request.argv.slice(1)], request);
  }
  process.umask(umask);
  return code;
}

function spawnOnce(path: string, argv: readonly string[], request: SpawnRequest): number {
  const args = new Strings(argv);
  const attr = attributes();
  const group = request.sameSession === "group" ? SPAWN_SETPGROUP : 0;
  const session = request.sameSession ? group : SPAWN_SETSID;
  c.posix_spawnattr_setflags(attr, SPAWN_SETSIGDEF | SPAWN_SETSIGMASK | session);
  c.posix_spawn_file_actions_init(fileActions);
  if (request.cwd !== undefined) {
    c.posix_spawn_file_actions_addchdir_np(fileActions, cstr(request.cwd));
  }
  let code = 0;
  // Under our own limits: glibc takes no descriptor that is above them.
  for (const [from, to] of request.fds)
    code ||= c.posix_spawn_file_actions_adddup2(fileActions, from, to);
  const limits = getFileLimits();
  setFileLimits(request.limits);
  code ||= c.posix_spawn(
    spawnedPid,
    cstr(path),
    fileActions,
    attr,
    args.pointers,
    request.env.pointers,
  );
  setFileLimits(limits);
  c.posix_spawn_file_actions_destroy(fileActions);
  return code === 0 ? (spawnedPid[0] ?? 0) : -code;
}

/** The limits on open descriptors, in descriptors; Infinity for "unlimited". */
export type Limits = { readonly soft: number; readonly hard: number };

const limitBuffer = new BigUint64Array(new ArrayBuffer(16));
const RLIM_INFINITY = 0xffffffffffffffffn;

export function getFileLimits(): Limits {
  c.getrlimit(RLIMIT_NOFILE, limitBuffer);
  const [soft = 0n, hard = 0n] = limitBuffer;
  const number = (n: bigint) => (n === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(n));
  return { soft: number(soft), hard: number(hard) };
}

export function setFileLimits(limits: Limits): number {
  const raw = (n: number) => (Number.isFinite(n) ? BigInt(n) : RLIM_INFINITY);
  limitBuffer[0] = raw(limits.soft);
  limitBuffer[1] = raw(limits.hard);
  return result(c.setrlimit(RLIMIT_NOFILE, limitBuffer));
}
