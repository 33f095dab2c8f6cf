/** Resource limits of the program to come. */
import { serviceFileLimits } from "../environment.ts";
import { E } from "../libc.ts";
import { getLimit, type Limit, setLimit } from "./calls.ts";

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
export const MEMORY = [RESOURCE.DATA, RESOURCE.STACK, RESOURCE.MEMLOCK, RESOURCE.AS];

export const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Takes effect in the last moment: the runtime could not live with what a small program can. */
export class Limits {
  private readonly wanted = new Map<number, Limit>();
  private readonly before = new Map<number, Limit>();

  /** As the program to come will have it. */
  get(resource: number): Limit {
    const found = this.wanted.get(resource);
    if (found) return found;
    return resource === RESOURCE.NOFILE ? givenFileLimit() : getLimit(resource);
  }

  /** The soft limit, which can be no higher than the hard one; null: as high as that. */
  setSoft(resource: number, soft: bigint | null): void {
    const { hard } = this.get(resource);
    this.wanted.set(resource, { soft: soft !== null && soft < hard ? soft : hard, hard });
  }

  /** A hard limit is raised at once: later there may be no right to. 0, or minus the errno. */
  set(resource: number, limit: Limit): number {
    if (limit.soft > limit.hard) return -E.INVAL;
    const now = getLimit(resource);
    const code =
      limit.hard > now.hard ? setLimit(resource, { soft: now.soft, hard: limit.hard }) : 0;
    if (code === 0) this.wanted.set(resource, limit);
    return code;
  }

  /** The kernel looks at the number of processes when the user changes, too. */
  beforeUserChanges(): void {
    const limit = this.wanted.get(RESOURCE.NPROC);
    if (limit) setLimit(RESOURCE.NPROC, limit);
  }

  /** Right before execve. */
  apply(): void {
    if (!this.wanted.has(RESOURCE.NOFILE)) this.wanted.set(RESOURCE.NOFILE, givenFileLimit());
    for (const [resource, limit] of this.wanted) {
      this.before.set(resource, getLimit(resource));
      setLimit(resource, limit);
    }
  }

  /** When it failed: soft limits as they were, as far as the hard ones let them. */
  revert(): void {
    for (const [resource, { soft }] of this.before) {
      const { hard } = getLimit(resource);
      setLimit(resource, { soft: soft < hard ? soft : hard, hard });
    }
  }
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
