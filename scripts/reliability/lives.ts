// What runs, seen from outside: the marks that services leave, checked against /proc.
import { readdirSync, readFileSync } from "node:fs";

/** One process: a pid alone may be another one's by now. */
export interface Process {
  readonly pid: number;
  /** When it was started, in clock ticks since boot. */
  readonly start: number;
}

export interface Life extends Process {
  readonly name: string;
}

interface Stat extends Process {
  readonly state: string;
  readonly parent: number;
}

/** A service that leaves a mark "NAME PID START" at each start, then goes on with `body`. */
export function markingScript(marks: string, name: string, body: string): string {
  const lines = [
    "#!/bin/sh",
    "read -r stat </proc/$$/stat",
    // What follows the name of the program, which may hold anything: field 3 is the first.
    "set -- $" + "{stat##*) }",
    `echo ${name} $$ $` + `{20} >>${marks}`,
    body,
  ];
  return `${lines.join("\n")}\n`;
}

export function stat(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === "") return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0] ?? "",
    parent: Number(fields[1]),
    start: Number(fields[19]),
  };
}

/** Whether that very process runs; a zombie does not. */
export function runs({ pid, start }: Process): boolean {
  const found = stat(pid);
  return found !== undefined && found.start === start && !"ZX".includes(found.state);
}

/** All descendants of a process, zombies too. */
export function descendants(ancestor: number): Stat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => stat(Number(name)))
    .filter((each) => each !== undefined);
  const below = (parent: number): Stat[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return below(ancestor);
}

/** The pid of a process in the innermost of its namespaces. */
export function innerPid(pid: number): number {
  const line = /^NSpid:\s+(.*)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? "";
  return Number(line.split("\t").at(-1));
}

/** All lives of all services of one run, as their marks tell. */
export class Lives {
  constructor(private readonly marks: string) {}

  all(): Life[] {
    // What follows the last newline is being written.
    const lines = read(this.marks).split("\n").slice(0, -1);
    return lines.map((line) => {
      const [name = "", pid, start] = line.split(" ");
      return { name, pid: Number(pid), start: Number(start) };
    });
  }

  /** The lives of a service that have not ended: more than one is one too many. */
  running(name: string): Life[] {
    return this.all().filter((life) => life.name === name && runs(life));
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it ended meanwhile, or nothing was written yet
  }
}
