/**
 * The descriptors that the program to come will have: those that we were given, under their own
 * numbers, and what was opened for it, under the lowest number that is free among these. The
 * runtime's own are not seen.
 */
import * as libc from "../libc.ts";
import { dup2 } from "./calls.ts";

const EVENTPOLL = "anon_inode:[eventpoll]";
const EVENTFD = "anon_inode:[eventfd]";

export class Descriptors {
  /** Ours by the number that the program to come will have it under. */
  private readonly open = new Map<number, number>(given().map((fd) => [fd, fd]));

  get numbers(): number[] {
    return [...this.open.keys()].sort((a, b) => a - b);
  }

  /** The lowest numbers that are free. */
  free(count: number): number[] {
    const found: number[] = [];
    for (let n = 0; found.length < count; n++) if (!this.open.has(n)) found.push(n);
    return found;
  }

  /** Leaves an open descriptor to the program to come. */
  keep(fd: number): void {
    const [number = fd] = this.free(1);
    this.open.set(number, fd);
  }

  /** Puts an open descriptor in place of one that may be open, at once. */
  replace(number: number, fd: number): void {
    if (fd !== number) {
      dup2(fd, number);
      libc.close(fd);
    }
    this.open.set(number, number);
  }

  /** The same in the moment before execve: until then what is there is still ours. */
  replaceLater(number: number, fd: number): void {
    this.open.set(number, fd);
  }

  close(number: number): number {
    const fd = this.open.get(number);
    if (fd === undefined) return -libc.E.BADF;
    this.open.delete(number);
    return libc.close(fd);
  }

  /**
   * Puts all where they belong, perhaps over the runtime's own: soon it is gone. Each moves down,
   * so in their order none is overwritten.
   */
  settle(): void {
    for (const number of this.numbers) {
      const fd = this.open.get(number) ?? number;
      if (fd === number) libc.setCloseOnExec(fd, false);
      else dup2(fd, number);
    }
  }
}

/**
 * What was open when we were started: all that is, but one epoll and one eventfd, which the runtime
 * opened under the lowest numbers it could get. It has marked the others close-on-exec.
 */
function given(): number[] {
  const names = libc.readDirectory("/proc/self/fd");
  const links = (typeof names === "number" ? [] : names)
    .map((name) => [Number(name), libc.readLink(`/proc/self/fd/${name}`)] as const)
    .filter(([, link]) => typeof link === "string")
    .sort(([a], [b]) => a - b);
  const [epoll] = links.find(([, link]) => link === EVENTPOLL) ?? [];
  const [event] = links.find(([fd, link]) => fd > (epoll ?? 0) && link === EVENTFD) ?? [];
  return links.map(([fd]) => fd).filter((fd) => fd !== epoll && fd !== event);
}
