/**
 * The patterns of multilog(8) and svlogd(8). Nothing is ever tried twice: each byte of the line
 * and of the pattern is looked at once, however many stars there are.
 */

const STAR = 0x2a;
const PLUS = 0x2b;

/** A byte string as a pattern to match with. */
export function pattern(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/**
 * Whether all of bytes[from] up to bytes[to] matches. A star stands for any string without the
 * byte that follows it in the pattern; at the end, for any string. Every other byte is itself.
 * That is multilog's; with `plus`, which svlogd has, a plus stands for one or more of the byte
 * that follows it, and takes all that there are. Where the line ends with those, it matches,
 * whatever follows in the pattern: so it is in the original.
 */
export function matches(
  pattern: Uint8Array,
  bytes: Uint8Array,
  from: number,
  to: number,
  plus = false,
): boolean {
  let at = from;
  for (let p = 0; p < pattern.length; p++) {
    const byte = pattern[p];
    if (byte === STAR) {
      if (p + 1 === pattern.length) return true;
      const next = pattern[p + 1];
      while (at < to && bytes[at] !== next) at++;
      if (at === to) return false;
    } else if (plus && byte === PLUS) {
      const repeated = pattern[++p];
      if (at === to || bytes[at] !== repeated) return false;
      while (at < to && bytes[at] === repeated) at++;
      if (at === to) return true;
    } else {
      if (at === to || bytes[at] !== byte) return false;
      at++;
    }
  }
  return at === to;
}
