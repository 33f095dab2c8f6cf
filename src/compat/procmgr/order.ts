/** What a script is run with: written by the daemon, read by the process that becomes the script. */
import type { ProcessId } from "../../status.ts";
import type { Owner } from "./caller.ts";
import type { Action, Ids, Program } from "./config.ts";

/** Whose streams a script gets. */
export type Caller = {
  readonly client: ProcessId;
  readonly owner: Owner;
  /** The directory of the request. */
  readonly request: string;
  /** The client waits for the script: it can copy what goes through FIFOs. */
  readonly waits: boolean;
};

export type Order = {
  readonly program: string;
  readonly action: Action;
  readonly command: string;
  readonly args: readonly string[];
  /** The program's process; "" for none. */
  readonly pid: string;
  readonly runAs: Ids;
  readonly cwd: string;
  /** The soft limit on open descriptors that the daemon was started with. */
  readonly nofile: number;
  /** null: /dev/null is read, and what is written is the daemon's. */
  readonly caller: Caller | null;
};

/** What an action of a program comes to; null: there is no script for it. */
export function orderFor(
  program: Program,
  action: Action,
  rest: Pick<Order, "args" | "pid" | "nofile" | "caller">,
): Order | null {
  const command = program.commands[action];
  if (command === undefined) return null;
  const { name, cwd, runAs } = program;
  return { program: name, action, command, runAs: runAs[action], cwd, ...rest };
}

/** JSON; bytes from 0x80 on are the characters that stand for them everywhere here. */
export function formatOrder(order: Order): string {
  return `${JSON.stringify(order)}\n`;
}

/** From a file that nobody else can have written. */
export function parseOrder(text: string | number): Order | null {
  return typeof text === "string" && text !== "" ? (JSON.parse(text) as Order) : null;
}
