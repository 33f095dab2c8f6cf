/** Random data that can be had again: the same seed, the same sequence. */
export class Random {
  constructor(private state: number) {}

  /** 0 <= x < 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number, 0 <= n < limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  /** A byte string: any bytes, or only those from the alphabet. */
  bytes(length: number, alphabet?: string): string {
    let text = "";
    for (let i = 0; i < length; i++) {
      text += alphabet?.charAt(this.below(alphabet.length)) ?? String.fromCharCode(this.below(256));
    }
    return text;
  }
}

/** SEED=N repeats a run that failed. */
export function chooseSeed(): number {
  return Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
}
