/** What is waited for in the daemon: every event means "look again". */

/** In case an event was lost, or there are none. */
const LOOK_INTERVAL = 1_000;

export class Changes {
  private readonly waiting = new Set<() => void>();
  private timer: Timer | null = null;

  /** Something may be otherwise now. */
  notify(): void {
    for (const look of [...this.waiting]) look();
  }

  /** Resolves to the first value that is not null; to null after so many milliseconds. */
  until<T>(condition: () => T | null, limit = Number.POSITIVE_INFINITY): Promise<T | null> {
    const { promise, resolve } = Promise.withResolvers<T | null>();
    const deadline = performance.now() + limit;
    const look = () => {
      const value = condition();
      if (value === null && performance.now() < deadline) return;
      this.waiting.delete(look);
      resolve(value);
    };
    this.waiting.add(look);
    this.arm();
    look();
    return promise;
  }

  /** Rings only while somebody waits. */
  private arm(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.notify();
      if (this.waiting.size > 0) this.arm();
    }, LOOK_INTERVAL);
  }
}
