// The independent checker: at a quiet point, what should be is compared with what is.
import { readFileSync } from "node:fs";
import type { History, Life, Request, Value } from "./history.ts";
import {
  anonymousMemory,
  children,
  descriptors,
  mainProcesses,
  type Stat,
  stat,
  uptime,
} from "./proc.ts";
import type { Cost, Tally } from "./report.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Service, World } from "./world.ts";

const SETTLE_SECONDS = 25;
const LOOK_MS = 100;
/** Times come in steps of 10 ms. */
const TICK = 0.03;
/** The longest wait between two starts, and how late a start may be. */
const BACKOFF = 30;
const LATE = 1.5;
/** sysmgr's memory may be so much above that of the first quiet point, in MB. */
const GROWTH = 12;
const ADOPTED_DESCRIPTORS = 2;

/** Lines of sysmgr that tell of something that nobody did to it. */
const TROUBLE =
  /internal error|cannot upgrade|cannot (write|make|signal|lock|watch)|removed; made again|another sysmgr/;

type Base = { readonly value: Value; readonly at: number; readonly present: boolean };

export class Checker {
  /** The stop markers at the last quiet point. */
  private readonly bases = new Map<string, Base>();
  /** Killed from outside, as "PID TICKS". */
  private readonly killed = new Set<string>();
  private logRead = 0;

  constructor(
    private readonly world: World,
    private readonly history: History,
    private readonly supervisor: Supervisor,
    private readonly tally: Tally,
  ) {
    for (const { name } of world.services)
      this.bases.set(name, { value: "up", at: uptime(), present: false });
  }

  /** To be called while there is no service yet: so many descriptors are sysmgr's own. */
  noteBare(): void {
    this.tally.bareDescriptors = this.cost().descriptors;
  }

  /** A service was killed, but not by sysmgr. */
  noteKill({ pid, ticks }: Life): void {
    this.killed.add(`${pid} ${ticks}`);
  }

  /** To be called when nobody asks for anything any more. */
  async check(): Promise<void> {
    await this.settle();
    for (const service of this.world.services) {
      this.judgeLives(service);
      this.judgeRequests(service);
      this.judgeStarts(service);
      this.judgeMarker(service);
      this.judgeDescriptors(service);
    }
    await this.judgeCost();
    this.judgeLog();
    this.rebase();
  }

  // -------------------------------------------------------------- settlement

  /** Waits until everything is as it should be; what is not so in time is a violation. */
  private async settle(): Promise<void> {
    const deadline = uptime() + SETTLE_SECONDS;
    for (;;) {
      this.history.look();
      let wrong = this.world.services.flatMap((service) => {
        const why = this.unsettled(service);
        return why === null ? [] : [{ service: service.name, why }];
      });
      if (wrong.length === 0) wrong = this.unknownProcesses();
      const zombies = children(this.supervisor.pid).filter(({ state }) => state === "Z");
      if (wrong.length === 0 && zombies.length === 0) return;
      if (uptime() > deadline) {
        for (const { service, why } of wrong) this.tally.violation(service, why);
        for (const { pid } of zombies) this.tally.violation(null, `zombie child of sysmgr: ${pid}`);
        return;
      }
      await Bun.sleep(LOOK_MS);
    }
  }

  /** Why a service is not what it should be, or null. */
  private unsettled(service: Service): string | null {
    const life = this.history.running(service.name);
    if (!service.present) {
      if (life) return isDeaf(life) ? null : `removed from SYSDIR, but ${life.pid} runs`;
      const known = this.world.known(service);
      return known.length === 0 ? null : `removed from SYSDIR, but RUNDIR has ${known.join(" ")}`;
    }
    const pending = this.world.pending(service);
    if (pending.length > 0) return `in its drop box: ${pending.join(" ")}`;
    const marker = this.world.marker(service);
    const status = this.world.status(service);
    const said = `state=${status.get("state")} wanted=${status.get("wanted")} pid=${status.get("pid")}`;
    if (status.get("wanted") !== marker) return `the stop marker says ${marker}, status: ${said}`;
    if (life) return this.unsettledLife(life, marker, status, said);
    if (status.get("pid") !== undefined) return `does not run, status: ${said}`;
    if (marker !== "up") return status.get("state") === "down" ? null : `status: ${said}`;
    return this.isInBackoff(service, status) ? null : `should run, does not; status: ${said}`;
  }

  private unsettledLife(
    life: Life,
    marker: Value,
    status: ReadonlyMap<string, string>,
    said: string,
  ): string | null {
    const state = status.get("state");
    const same = `${life.pid} ${life.ticks}` === `${status.get("pid")} ${status.get("start")}`;
    if (!same) return `pid ${life.pid} runs, status: ${said}`;
    if (isDeaf(life) && state === "stopping") return null;
    if (marker === "down") return `should not run, but ${life.pid} does; status: ${said}`;
    return state === "up" || state === "starting" ? null : `runs, status: ${said}`;
  }

  /** Its next start is announced, is not overdue, and is not put off for ever. */
  private isInBackoff(service: Service, status: ReadonlyMap<string, string>): boolean {
    if (status.get("state") !== "backoff") return false;
    const wait = Number(status.get("next")) - Date.now() / 1000;
    const last = this.history.livesOf(service.name).at(-1);
    const asked = this.history.requestsOf(service.name).at(-1);
    const idle = uptime() - Math.max(last?.ended ?? 0, asked?.sent ?? 0);
    return wait > -LATE && wait < BACKOFF + LATE && idle < BACKOFF + 2 * LATE;
  }

  /** Main processes that run beside the one that is known of each service. */
  private unknownProcesses(): { service: string; why: string }[] {
    const found = mainProcesses(this.world.places.root);
    return [...found].flatMap(([service, processes]: [string, Stat[]]) => {
      const life = this.history.running(service);
      const others = processes.filter(({ pid }) => pid !== life?.pid);
      const [other] = others;
      return other ? [{ service, why: `${other.pid} runs beside ${life?.pid ?? "nothing"}` }] : [];
    });
  }

  // -------------------------------------------------------------- judgements

  /** A life that ended must have had a reason: its own, somebody's wish, or a kill. */
  private judgeLives({ name }: Service): void {
    for (const life of this.history.livesOf(name)) {
      const { ended } = life;
      if (life.judged || ended === null) continue;
      life.judged = true;
      const words = new Set(life.notes.map(({ word }) => word));
      if (words.has("exit") || words.has("die")) continue;
      if (this.killed.has(`${life.pid} ${life.ticks}`)) continue;
      const asked = this.history
        .requestsOf(name)
        .filter((r) => r.sent <= ended && r.done + r.slack >= life.start);
      if (asked.some((r) => r.kills) || (words.has("term") && asked.some((r) => r.stops))) continue;
      const how = words.has("term") ? "got TERM" : "was killed";
      this.tally.violation(name, `pid ${life.pid} ${how} for no reason`);
    }
  }

  /** What svctl said to be so was so; what sysmgr took from a drop box it has done. */
  private judgeRequests(service: Service): void {
    for (const request of this.history.requestsOf(service.name)) {
      if (request.judged) continue;
      request.judged = true;
      if (request.reached && request.sure) this.judgeRequest(service, request);
    }
  }

  private judgeRequest({ name, kind }: Service, request: Request): void {
    const { operation, what, sent, done } = request;
    const svctl = what.startsWith("svctl");
    const lives = this.history.livesOf(name);
    const stays = (life: Life, until: number) => life.start < sent - TICK && life.alive > until;
    if (
      ["stop", "down", "restart", "kill"].includes(operation) &&
      (svctl || operation !== "kill")
    ) {
      const survivor = svctl
        ? lives.find((life) => stays(life, done + TICK))
        : lives.find((life) => stays(life, done + TICK) && life.ended === null && !isDeaf(life));
      if (survivor) this.tally.violation(name, `${what} was done, but ${survivor.pid} lived on`);
    }
    const others = this.history
      .requestsOf(name)
      .some((r) => r !== request && r.sent <= done + 1 && r.done + r.slack >= sent);
    if (svctl && ["start", "restart", "once"].includes(operation) && !others) {
      const since = operation === "restart" ? sent - TICK : 0;
      const begun = lives.some(
        (l) => l.start >= since && l.start <= done + TICK && (l.ended ?? done) >= sent - TICK,
      );
      if (!begun) this.tally.violation(name, `${what} was done, but nothing ran`);
    }
    if (operation !== "hup" || kind === "hang" || kind === "stubborn") return;
    const paused = this.history.requestsOf(name).some((r) => r.operation === "pause");
    const there = lives.find((life) => life.start < sent - 1 && life.alive > done + 0.2);
    const heard = there?.notes.some(({ word, at }) => word === "HUP" && at >= sent - TICK);
    if (there && !heard && !paused)
      this.tally.violation(name, `${what} was done, but ${there.pid} heard nothing`);
  }

  /** What was down, and was asked for by nobody, must not have begun to live. */
  private judgeStarts(service: Service): void {
    const { name } = service;
    const base = this.bases.get(name);
    if (!base) return;
    const asked = this.history.requestsOf(name).filter((r) => r.done + r.slack >= base.at);
    const down = base.value !== "up" || (!base.present && !service.present);
    const away = service.came >= base.at || service.left >= base.at;
    const starts = this.history.livesOf(name).filter((life) => life.start > base.at + TICK);
    const [first] = starts;
    if (down && !away && asked.length === 0 && first) {
      this.tally.violation(name, `${first.pid} was started, but it was to be ${base.value}`);
    }
    const once = asked.length === 1 && asked[0]?.effect === "once" ? asked[0] : null;
    if (!once?.sure || away) return;
    const again = starts.filter((life) => life.start > once.done + TICK);
    if (again.length > 1) this.tally.violation(name, `started again after ${once.what}`);
  }

  /** The stop marker is what one of the last commands made of it. */
  private judgeMarker(service: Service): void {
    const { name } = service;
    const base = this.bases.get(name);
    if (!base) return;
    const writes = this.history
      .requestsOf(name)
      .filter((r) => r.sent >= base.at && r.effect !== null);
    const sure = writes.filter((r) => r.sure);
    const isLast = (done: number) => !sure.some((other) => other.sent > done);
    const possible = new Set<Value | null>(
      writes.filter((r) => isLast(r.sure ? r.done : Number.POSITIVE_INFINITY)).map((r) => r.effect),
    );
    if (isLast(base.at - TICK)) possible.add(base.value);
    const marker = this.world.marker(service);
    if (possible.has(marker)) return;
    const wanted = [...possible].join(" or ");
    this.tally.violation(name, `a command was lost: the stop marker says ${marker}, not ${wanted}`);
  }

  /** A service has no descriptor of sysmgr's. */
  private judgeDescriptors({ name }: Service): void {
    const life = this.history.running(name);
    const { rundir } = this.world.places;
    const foreign = life
      ? descriptors(life.pid).filter((to) => to.startsWith(rundir) || to.startsWith("anon_inode"))
      : [];
    if (foreign.length > 0) this.tally.violation(name, `has open ${foreign.join(" ")}`);
  }

  /** Descriptors and memory of sysmgr, compared with those at the beginning. */
  private async judgeCost(): Promise<void> {
    const [first] = this.tally.costs;
    const deadline = uptime() + 5;
    const isDear = (c: Cost) =>
      c.descriptors > this.tally.bareDescriptors + ADOPTED_DESCRIPTORS * c.adopted ||
      c.memory > (first?.memory ?? c.memory) + GROWTH;
    let cost = this.cost();
    while (isDear(cost) && uptime() < deadline) {
      await Bun.sleep(LOOK_MS);
      this.history.look();
      cost = this.cost();
    }
    this.tally.costs.push(cost);
    if (!isDear(cost)) return;
    const open = new Map<string, number>();
    for (const to of descriptors(this.supervisor.pid)) open.set(to, (open.get(to) ?? 0) + 1);
    this.tally.violation(
      null,
      `sysmgr has ${cost.memory.toFixed(1)} MB and ${cost.descriptors} descriptors ` +
        `with ${cost.adopted} adopted: ${[...open].map(([to, n]) => `${n} ${to}`).join(", ")}`,
    );
  }

  private cost(): Cost {
    const { pid } = this.supervisor;
    const lives = this.world.services.map(({ name }) => this.history.running(name));
    const parents = lives.map((life) => (life ? stat(life.pid)?.parent : undefined));
    const adopted = parents.filter((parent) => parent !== undefined && parent !== pid).length;
    return { memory: anonymousMemory(pid), descriptors: descriptors(pid).length, adopted };
  }

  /** sysmgr itself complains of nothing. */
  private judgeLog(): void {
    const log = readFileSync(this.world.places.log, "latin1");
    const lines = log.slice(this.logRead).split("\n");
    this.logRead = log.length;
    for (const line of lines) if (TROUBLE.test(line)) this.tally.violation(null, `said: ${line}`);
  }

  /** What is so now is what is to be from now on. */
  private rebase(): void {
    const at = uptime();
    for (const service of this.world.services) {
      const value = this.world.marker(service);
      this.bases.set(service.name, { value, at, present: service.present });
      for (const r of this.history.requestsOf(service.name))
        if (r.done > at && service.present) r.done = at;
    }
  }
}

function isDeaf(life: Life): boolean {
  return life.notes.some(({ word }) => word === "deaf");
}
