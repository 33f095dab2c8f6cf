/**
 * Where requests come in. Everybody may make directories here, so nothing in it is trusted: a
 * request is opened once and read through its descriptor; what was read is a copy, and only the
 * copy is looked at. Nothing here follows a link, waits, or reads without end.
 */
import { REQUEST_LIMIT } from "../../../config.ts";
import { putFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";
import type { Owner } from "./caller.ts";
import { readBounded } from "./files.ts";
import {
  ANSWER,
  type Answer,
  formatAnswer,
  parseRequest,
  REQUEST,
  type Request,
} from "./request.ts";

/** A request that was read. The descriptor is of its directory. */
export type Taken = {
  readonly name: string;
  readonly dir: number;
  readonly owner: Owner;
  readonly request: Request | { readonly refused: string };
};

/** What is removed from one request's directory; who puts more there keeps it. */
const FILES_MOST = 64;

/** A client has made its request complete within this, or will never do so. */
const UNFINISHED_AGE = 60_000;

export class Spool {
  private readonly fd: number;
  /** What is no request and could not be removed: not looked at again. */
  private readonly ignored = new Set<string>();

  constructor(readonly path: string) {
    this.fd = libc.openat(libc.AT_FDCWD, path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  }

  /** The requests that are there; what clients have left unfinished goes away. */
  names(): string[] {
    const all = libc.readDirectory(".", this.fd);
    const names = typeof all === "number" ? [] : all;
    for (const name of names) if (name.startsWith(".") && this.isOld(name)) this.discard(name);
    const present = new Set(names);
    for (const name of this.ignored) if (!present.has(name)) this.ignored.delete(name);
    return names.filter((name) => !name.startsWith(".") && !this.ignored.has(name));
  }

  private isOld(name: string): boolean {
    const fd = libc.openInside(this.fd, name, O.PATH);
    const stat = fd < 0 ? fd : libc.fstat(fd);
    if (fd >= 0) libc.close(fd);
    return typeof stat !== "number" && Date.now() - stat.modified > UNFINISHED_AGE;
  }

  exists(name: string): boolean {
    const fd = libc.openInside(this.fd, name, O.PATH);
    if (fd >= 0) libc.close(fd);
    return fd !== -E.NOENT;
  }

  /**
   * null: it is no request. The descriptor is the caller's to close. `prevent`: why nothing of a
   * user's is to be read now.
   */
  take(name: string, prevent: (uid: number) => string | null = () => null): Taken | null {
    if (name.startsWith(".") || this.ignored.has(name)) return null;
    const dir = this.open(name);
    const stat = dir < 0 ? dir : libc.fstat(dir);
    // One of a wider mode may be somebody else's, moved here by anybody.
    if (typeof stat === "number" || stat.mode !== 0o700) {
      if (dir >= 0) libc.close(dir);
      if (stat !== -E.NOENT && stat !== -E.MFILE) this.discard(name);
      return null;
    }
    const owner = { uid: stat.uid, gid: stat.gid };
    const prevented = prevent(owner.uid);
    if (prevented !== null) return { name, dir, owner, request: { refused: prevented } };
    const text = readBounded(dir, REQUEST, REQUEST_LIMIT, owner.uid);
    const request = typeof text === "string" ? parseRequest(text) : null;
    return { name, dir, owner, request: request ?? { refused: "the request is malformed" } };
  }

  private open(name: string): number {
    return libc.openInside(this.fd, name, O.RDONLY | O.DIRECTORY);
  }

  /** In a directory that is somebody else's: a new file, which can neither be nor lead to another. */
  answer({ dir }: Taken, answer: Answer): number {
    return putFile(ANSWER, formatAnswer(answer), 0o644, dir);
  }

  /**
   * Removes a request, as far as its owner could have done the same: files from a directory that is
   * only his, no more than a few, and no directory with something in it.
   */
  discard(name: string): void {
    const dir = this.open(name);
    const stat = dir < 0 ? dir : libc.fstat(dir);
    if (typeof stat !== "number" && stat.mode === 0o700) this.clear(dir);
    if (dir >= 0) libc.close(dir);
    const code = dir >= 0 ? libc.rmdirat(this.fd, name) : libc.unlinkat(this.fd, name);
    if (code < 0 && code !== -E.NOENT) this.ignored.add(name);
  }

  private clear(dir: number): void {
    const names = libc.someNamesIn(dir);
    if (typeof names === "number" || names.length > FILES_MOST) return;
    for (const name of names) {
      if (libc.unlinkat(dir, name) === -E.ISDIR) libc.rmdirat(dir, name);
    }
  }
}
