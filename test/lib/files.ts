/** Files by byte strings (src/bytes.ts): each character of a path or a text is one byte. */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";

/** A string would be taken for UTF-8. */
export function raw(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** null when it cannot be read. */
export function read(path: string): string | null {
  try {
    return readFileSync(raw(path), "latin1");
  } catch {
    return null;
  }
}

/** Writes in place, as an editor may; looks at the path once: it may be acted on when closed. */
export function write(path: string, text: string, mode = 0o644): void {
  edit(path, "w", (fd) => {
    writeSync(fd, raw(text));
    fchmodSync(fd, mode);
  });
}

function edit(path: string, flags: string, change: (fd: number) => void): void {
  const fd = openSync(raw(path), flags);
  try {
    change(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a file in one step: staged under a hidden name, with its mode, then renamed. */
export function place(path: string, text: string, mode = 0o644): void {
  const staged = path.replace(/[^/]*$/, `.staged.${process.pid}`);
  write(staged, text, mode);
  rename(staged, path);
}

export function append(path: string, text: string): void {
  edit(path, "a", (fd) => writeSync(fd, raw(text)));
}

/** As touch(1) does it. */
export function touch(path: string): void {
  const now = new Date();
  edit(path, "a", (fd) => futimesSync(fd, now, now));
}

export function rename(from: string, to: string): void {
  renameSync(raw(from), raw(to));
}

export function link(target: string, path: string): void {
  symlinkSync(raw(target), raw(path));
}

export function makeDirectory(path: string, mode = 0o755): void {
  // The type of the parameter forgets Buffers; the function does not.
  mkdirSync(raw(path) as unknown as string, { recursive: true });
  chmodSync(raw(path), mode);
}

export function remove(path: string): void {
  rmSync(raw(path) as unknown as string, { recursive: true, force: true });
}

/** Nothing when it is no directory, or cannot be read. */
export function list(path: string): string[] {
  try {
    return readdirSync(raw(path), "latin1" as "utf8");
  } catch {
    return [];
  }
}

/** Also for a link that leads nowhere. */
export function exists(path: string): boolean {
  try {
    lstatSync(raw(path));
    return true;
  } catch {
    return false;
  }
}
