/** When what happened to a service: what its status tells beside its life. Pure. */
import type { Life } from "./transition.ts";

/** Milliseconds since the epoch, but for `waited`. */
export type Times = {
  /** When the state began. */
  readonly since: number;
  /** When the first life began; null before that, and where nobody knows. */
  readonly first: number | null;
  /** When the present life, or the last one, came to be up; null if it did not. */
  readonly ready: number | null;
  /** For how many milliseconds of it a sysmgr-depends was seen to wait, before that. */
  readonly waited: number;
};

export function timesOf({ since, first, ready, waited }: Times): Times {
  return { since, first, ready, waited };
}

/** What they are after a change of the life. */
export function timesAfter(times: Times, before: Life, life: Life, now: number): Times {
  const changed = life.state !== before.state;
  const isNew = life.process !== null && life.process !== before.process;
  const begins = before.runs === 0 && life.runs === 1;
  return {
    since: changed ? now : times.since,
    first: times.first ?? (begins ? now : null),
    ready: changed && life.state === "up" ? now : isNew ? null : times.ready,
    waited: isNew ? 0 : times.waited,
  };
}
