/** Resource limits of the program to come. */
import { serviceFileLimits } from "../environment.ts";
import { getLimit, type Limit, rawLimit, setLimit, setRawLimit } from "./calls.ts";

/** RLIMIT_*, the same on x86-64 and arm64. */
export const RESOURCE = {
  CPU: 0,
  FSIZE: 1,
  DATA: 2,
  STACK: 3,
  CORE: 4,
  RSS: 5,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  AS: 9,
  LOCKS: 10,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
  RTTIME: 15,
} as const;

/** What -m is about. */
export const MEMORY: readonly number[] = [
  RESOURCE.DATA,
  RESOURCE.STACK,
  RESOURCE.MEMLOCK,
  RESOURCE.AS,
];

/** What the runtime needs more of than most programs. */
const HARMFUL: readonly number[] = [...MEMORY, RESOURCE.NPROC];

export const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Takes effect in the last moment: the runtime could not live with what a small program can. */
export class Limits {
  /** Asked for in time: there may be no /proc later. */
  private readonly files = givenFileLimit();
  private readonly wanted = new Map<number, Limit>();

  /** As the program to come will have it. */
  get(resource: number): Limit {
    const found = this.wanted.get(resource);
    if (found) return found;
    return resource === RESOURCE.NOFILE ? this.files : getLimit(resource);
  }

  /** The soft limit, which can be no higher than the hard one; null: as high as that. */
  setSoft(resource: number, soft: bigint | null): void {
    const { hard } = this.get(resource);
    this.wanted.set(resource, { soft: soft !== null && soft < hard ? soft : hard, hard });
  }

  /**
   * A hard limit that is raised is so at once: later there may be no right to. One that is lowered,
   * too, where that does no harm: raising it again takes that right. 0, or minus the errno.
   */
  set(resource: number, limit: Limit): number {
    const now = getLimit(resource);
    const soft = now.soft < limit.hard ? now.soft : limit.hard;
    const atOnce = limit.hard > now.hard || !HARMFUL.includes(resource);
    const code = atOnce ? setLimit(resource, { soft, hard: limit.hard }) : 0;
    if (code === 0) this.wanted.set(resource, limit);
    return code;
  }

  /** The kernel looks at the number of processes when the user changes, too. */
  beforeUserChanges(): void {
    const limit = this.wanted.get(RESOURCE.NPROC);
    if (limit) setLimit(RESOURCE.NPROC, limit);
  }

  /**
   * Does something within these limits: execve, that is. Meanwhile nothing may be allocated, by
   * what is done neither: there may be no memory to be had. So the limits on that come last.
   */
  during(act: () => number): number {
    if (!this.wanted.has(RESOURCE.NOFILE)) this.wanted.set(RESOURCE.NOFILE, this.files);
    const changes = [...this.wanted]
      .sort(([a], [b]) => Number(MEMORY.includes(a)) - Number(MEMORY.includes(b)))
      .map(
        ([resource, limit]) => [resource, rawLimit(limit), afterwards(resource, limit)] as const,
      );
    let code = 0;
    for (const [resource, limit] of changes) code ||= setRawLimit(resource, limit);
    // Without one of them, never.
    code ||= act();
    for (const [resource, , limit] of changes) setRawLimit(resource, limit);
    return code;
  }
}

/** What a limit goes back to: a hard one that was lowered may not go up again. */
function afterwards(resource: number, { hard }: Limit): BigUint64Array {
  const { soft } = getLimit(resource);
  return rawLimit({ soft: soft < hard ? soft : hard, hard });
}

/** The runtime has raised ours before our first line. */
function givenFileLimit(): Limit {
  const { soft, hard } = serviceFileLimits(null);
  const raw = (n: number) => (Number.isFinite(n) ? BigInt(n) : UNLIMITED);
  return { soft: raw(soft), hard: raw(hard) };
}

/** A number as the originals read it: nothing is 0, too large a one wraps. Null for other text. */
export function scanUnsigned(text: string): bigint | null {
  return /^\d*$/.test(text) ? BigInt.asUintN(64, BigInt(text)) : null;
}
