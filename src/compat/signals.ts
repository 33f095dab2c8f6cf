/** What wakes the daemons of pmtr and procmgr besides files, and what must not end them. */
import * as libc from "../libc.ts";

const ENDINGS = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"] as const;
/** Their default would end or stop us. */
const OTHERS = ["SIGALRM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGTTIN", "SIGTTOU"] as const;

export type Handlers = {
  readonly reap: () => void;
  readonly end: (signal: string) => void;
  /** What these signals mean. */
  readonly on: Readonly<Partial<Record<NodeJS.Signals, () => void>>>;
  /** For what is wrong with ourselves: an error that nobody has caught. */
  readonly reportBug: (error: unknown) => void;
};

export function handleSignals({ reap, end, on, reportBug }: Handlers): void {
  process.on("SIGCHLD", reap);
  for (const signal of OTHERS) process.on(signal, () => {});
  for (const signal of ENDINGS) process.on(signal, () => end(signal));
  for (const [signal, action] of Object.entries(on)) process.on(signal, action);
  process.on("uncaughtException", reportBug);
  process.on("unhandledRejection", reportBug);
  // Held back since we executed ourselves.
  libc.unblockSignals();
  reap();
}

/** `internal error:` and where it was. */
export function describeBug(error: unknown): string {
  return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
