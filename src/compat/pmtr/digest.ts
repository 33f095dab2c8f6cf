/** Content in short: of files that jobs depend on, and of texts. */
import * as libc from "../../libc.ts";
import { O } from "../../libc.ts";

const buffer = new Uint8Array(new ArrayBuffer(65_536));

/** The same for the same content; a word of its own where there is no regular file to read. */
export function digestOf(path: string): string {
  const fd = libc.openat(libc.AT_FDCWD, path, O.RDONLY | O.NONBLOCK);
  if (fd < 0) return `none (${libc.strerror(fd)})`;
  const stat = libc.fstat(fd);
  const digest = typeof stat !== "number" && stat.isFile ? digestOfOpen(fd) : "no file";
  libc.close(fd);
  return digest;
}

function digestOfOpen(fd: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (;;) {
    const n = libc.readBytes(fd, buffer, 0, buffer.length);
    if (n <= 0) return n < 0 ? libc.strerror(n) : hasher.digest("hex");
    hasher.update(buffer.subarray(0, n));
  }
}

/** Of a byte string. */
export function digestOfText(text: string): string {
  return new Bun.CryptoHasher("sha256").update(Buffer.from(text, "latin1")).digest("hex");
}
