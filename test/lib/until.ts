/** Waiting for what must come, with a deadline; nothing here sleeps and hopes. */

/** Generous: on a busy machine a test is slow, not wrong. */
const SECONDS = 30;
const STEP_MS = 4;

type Truthy<T> = Exclude<T, false | null | undefined | 0 | "">;

/** Resolves to the first truthy value of the condition; throws when there is none in time. */
export async function until<T>(
  condition: () => T,
  what: string,
  seconds = SECONDS,
): Promise<Truthy<T>> {
  for (const deadline = performance.now() + seconds * 1000; ; await Bun.sleep(STEP_MS)) {
    const late = performance.now() > deadline;
    const value = condition();
    if (value) return value as Truthy<T>;
    if (late) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

/** Throws as soon as the condition does not hold; for what must not come, however long one looks. */
export async function holds(
  condition: () => unknown,
  what: string,
  seconds: number,
): Promise<void> {
  for (const end = performance.now() + seconds * 1000; ; await Bun.sleep(STEP_MS)) {
    if (!condition()) throw new Error(`did not hold for ${seconds} s: ${what}`);
    if (performance.now() > end) return;
  }
}
