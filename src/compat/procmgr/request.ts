/** The files that client and daemon leave for each other: text to data and back. Pure. */
import { escapeBytes, parseCount, unescapeBytes } from "../../bytes.ts";
import type { ProcessId } from "../../status.ts";

/** Names in a request's directory. */
export const REQUEST = "request";
export const ANSWER = "answer";
/** Made by the daemon: the streams go through the FIFOs. */
export const COPY = "copy";
/** By the number of the stream. */
export const FIFOS = ["stdin", "stdout", "stderr"] as const;

/** Of a directory that is not complete yet. */
export const UNFINISHED = ".new.";

export type Request = {
  readonly client: ProcessId;
  readonly program: string;
  readonly action: string;
  readonly args: readonly string[];
};

/** `code`: what the client exits with; `out` and `error`: what it says. */
export type Answer = { readonly code: number; readonly out?: string; readonly error?: string };

/** Exit status of trouble: no script's, so far as one can help it. */
export const TROUBLE = 111;

export function refusal(error: string): Answer {
  return { code: TROUBLE, error };
}

export function formatRequest({ client, program, action, args }: Request): string {
  const lines = [`pid=${client.pid}`, `start=${client.started}`];
  lines.push(`program=${escapeBytes(program)}`, `action=${escapeBytes(action)}`);
  for (const arg of args) lines.push(`arg=${escapeBytes(arg)}`);
  return lines.map((line) => `${line}\n`).join("");
}

export function parseRequest(text: string): Request | null {
  const pairs = parseLines(text);
  const value = (key: string) => pairs.find(([k]) => k === key)?.[1];
  const client = parseProcess(value("pid"), value("start"));
  const [program, action] = [value("program"), value("action")];
  if (!client || program === undefined || action === undefined) return null;
  const args = pairs.filter(([key]) => key === "arg").map(([, arg]) => arg);
  // No process can have such an argument.
  return [program, action, ...args].some((word) => word.includes("\0"))
    ? null
    : { client, program, action, args };
}

export function formatAnswer({ code, out, error }: Answer): string {
  const lines = [`code=${code}`];
  if (out !== undefined) lines.push(`out=${escapeBytes(out)}`);
  if (error !== undefined) lines.push(`error=${escapeBytes(error)}`);
  return lines.map((line) => `${line}\n`).join("");
}

export function parseAnswer(text: string): Answer | null {
  const values = new Map(parseLines(text));
  const code = parseCount(values.get("code") ?? "");
  const [out, error] = [values.get("out"), values.get("error")];
  if (code === null || code > 255) return null;
  return { code, ...(out !== undefined && { out }), ...(error !== undefined && { error }) };
}

/** The file at the socket's path: which process is the daemon. */
export function formatDaemon({ pid, started }: ProcessId): string {
  return `pid=${pid}\nstart=${started}\n`;
}

export function parseDaemon(text: string): ProcessId | null {
  const values = new Map(parseLines(text));
  return parseProcess(values.get("pid"), values.get("start"));
}

function parseProcess(pidText = "", startText = ""): ProcessId | null {
  const [pid, started] = [parseCount(pidText), parseCount(startText)];
  return pid !== null && started !== null && pid > 0 && pid < 2 ** 31 ? { pid, started } : null;
}

function parseLines(text: string): [key: string, value: string][] {
  return text.split("\n").flatMap((line) => {
    const at = line.indexOf("=");
    return at < 0
      ? []
      : [[line.slice(0, at), unescapeBytes(line.slice(at + 1))] as [string, string]];
  });
}
