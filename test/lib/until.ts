/** Waiting for what must come, with a deadline; nothing here sleeps and hopes. */

/** Generous: on a slow or busy machine a test is slow, not wrong. */
export const PATIENCE = 100_000;
const STEP_MS = 4;
/** Who has waited for a second does not need to know at once, and others need the machine. */
const LATER_STEP_MS = 20;

type Truthy<T> = Exclude<T, false | null | undefined | 0 | "">;

/** Resolves to the first truthy value of the condition; throws when there is none in time. */
export async function until<T>(condition: () => T, what: string): Promise<Truthy<T>> {
  for (const began = performance.now(); ; ) {
    const waited = performance.now() - began;
    const value = condition();
    if (value) return value as Truthy<T>;
    if (waited > PATIENCE) throw new Error(`not within ${PATIENCE / 1000} s: ${what}`);
    await Bun.sleep(waited < 1000 ? STEP_MS : LATER_STEP_MS);
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
