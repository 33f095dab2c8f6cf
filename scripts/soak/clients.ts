// Clients that ask for this and that: with svctl, and with touch(1) and rm(1) as people do.
import { closeSync, openSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import type { History, Request, Value } from "./history.ts";
import { environment, uptime } from "./proc.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./report.ts";
import { exists, type Service, type World } from "./world.ts";

/** How often each is done. The first word says with what. */
const ACTIONS = {
  "svctl start": 13,
  "svctl stop": 11,
  "svctl restart": 10,
  "svctl once": 5,
  "svctl kill": 6,
  "svctl hup": 8,
  "svctl usr1": 2,
  "svctl term": 2,
  "svctl pause": 2,
  "svctl cont": 2,
  "svctl stop --force": 3,
  "svctl -n start": 2,
  "svctl -n stop": 2,
  "svctl -n restart": 1,
  "svctl status": 2,
  "touch lock": 6,
  "rm lock": 8,
  "write lock once": 2,
  "touch control/up": 4,
  "touch control/down": 3,
  "touch control/restart": 3,
  "touch control/once": 2,
  "touch control/hup": 3,
  "touch control/kill": 2,
  "rm entry": 5,
  "mv entry away and back": 2,
  "replace entry": 2,
} as const;
type Action = keyof typeof ACTIONS;

const EFFECTS: Readonly<Record<string, Value>> = {
  start: "up",
  up: "up",
  restart: "up",
  stop: "down",
  down: "down",
  kill: "down",
  once: "once",
};
const STOPS: readonly string[] = ["stop", "down", "restart", "kill", "term"];

const SVCTL_SECONDS = 5;
const DROP_SECONDS = 8;
/** sysmgr may have been away when a file was touched: so long after, it may still act on it. */
const FILE_SLACK = 3;
/** Less than this out of SYSDIR is no removal. */
const FLICKER = 1_200;
const REMOVED = 1.9;
const THINK_MS = 1_800;
const CROWDED = 0.25;
const CROWD = 8;

export class Client {
  constructor(
    private readonly world: World,
    private readonly history: History,
    private readonly tally: Tally,
    private readonly random: Random,
  ) {}

  /** Asks for one thing after the other until told to pause. */
  async work(paused: () => boolean): Promise<void> {
    while (!paused()) {
      await this.act(this.random.weighted(ACTIONS));
      const end = uptime() + this.random.between(0, THINK_MS) / 1000;
      while (!paused() && uptime() < end) await Bun.sleep(50);
    }
  }

  private async act(action: Action): Promise<void> {
    const service = this.choose();
    const [tool, ...words] = action.split(" ");
    if (action === "rm entry") return await this.removeEntry(service);
    // What is asked of a service that is not there is refused: that is not what is tested here.
    if (!service.present || service.busy) return;
    this.tally.command(action);
    if (tool === "svctl") return await this.svctl(service, words);
    if (action === "mv entry away and back") return await this.flicker(service);
    if (action === "replace entry") return this.world.add(service);
    const [, file = ""] = words[0]?.split("/") ?? [];
    if (file !== "") return await this.drop(service, file);
    this.marker(service, action);
  }

  /** Now and then one of a few, so that clients get in each other's way. */
  private choose(): Service {
    const all = this.world.services.filter((each) => !each.calm);
    return this.random.pick(this.random.chance(CROWDED) ? all.slice(0, CROWD) : all);
  }

  private request(service: Service, what: string, operation: string, slack = 0.3): Request {
    const request: Request = {
      what,
      service: service.name,
      sent: uptime(),
      done: Number.POSITIVE_INFINITY,
      effect: EFFECTS[operation] ?? null,
      sure: true,
      stops: STOPS.includes(operation),
      kills: operation === "kill",
      slack,
      reached: false,
      operation,
      judged: false,
    };
    this.history.requestsOf(service.name).push(request);
    return request;
  }

  // ------------------------------------------------------------------- svctl

  private async svctl(service: Service, words: readonly string[]): Promise<void> {
    const operation = words.find((word) => !word.startsWith("-")) ?? "";
    if (operation === "status") {
      await this.run(["status"]);
      return;
    }
    const second = this.choose();
    const both = ["start", "stop", "restart"].includes(operation) && this.random.chance(0.2);
    const ok = second.present && !second.busy && second !== service;
    const services = both && ok ? [service, second] : [service];
    const what = `svctl ${words.join(" ")}`;
    const requests = services.map((each) => this.request(each, what, operation));
    for (const request of requests) if (words.includes("--force")) request.kills = true;
    const { code, errors } = await this.run([...words, ...services.map(({ name }) => name)]);
    const now = uptime();
    const lines = errors.split("\n").filter((line) => line !== "");
    const about = (name: string) => lines.find((line) => line.startsWith(`svctl: ${name}:`));
    // What names no service is said of all.
    const general = lines.find((line) => !/^svctl: s\d+:/.test(line));
    for (const [i, request] of requests.entries()) {
      const problem = about(request.service) ?? general;
      const each = services[i];
      if (each) this.answer(each, request, problem, words.includes("-n"), now);
    }
    if (code !== 0 && errors.trim() === "")
      this.tally.violation(service.name, `${what}: exit ${code} without a word`);
  }

  /** What svctl said about one service, and whether it may say so. */
  private answer(
    service: Service,
    request: Request,
    problem: string | undefined,
    hasNotWaited: boolean,
    now: number,
  ): void {
    const away = this.world.wasAway(service, request.sent, now);
    if (away) request.sure = false;
    if (problem === undefined) {
      request.reached = !hasNotWaited;
      if (hasNotWaited) request.sure = false;
      // Not known to be acted on before the next quiet point.
      else if (!away) request.done = now;
      return;
    }
    const refused = /no such service|is not running|no sysmgr works|cannot open|cannot write/.test(
      problem,
    );
    const answered = /not \w+ after|cannot start/.test(problem);
    if (answered && !away) request.done = now;
    else request.sure = false;
    if (refused && request.operation !== "kill") {
      request.effect = null;
      request.done = now;
    }
    const why = this.excuse(service, request, problem, now);
    if (why !== null) this.tally.excused(why);
    else this.tally.violation(service.name, `${request.what}: ${problem.trim()}`);
  }

  private excuse(service: Service, request: Request, problem: string, now: number): string | null {
    if (/is not running/.test(problem)) return "a signal to what did not run";
    if (/no sysmgr works/.test(problem)) return "asked while no sysmgr ran";
    if (this.world.wasAway(service, request.sent, now)) return "its entry went meanwhile";
    if (!/not \w+ after/.test(problem)) return null;
    const others = this.history.requestsOf(service.name).some((r) => {
      if (r === request || r.sent > now || r.done + r.slack < request.sent) return false;
      const contrary = r.effect !== null && r.effect !== request.effect;
      return contrary || (r.effect === null && (r.stops || r.kills || r.operation === "pause"));
    });
    if (others) return "others asked for something else meanwhile";
    const { kind } = service;
    if (kind === "deaf" || kind === "stubborn") return "it ignored TERM";
    return kind === "flap" ? "it flapped" : null;
  }

  private async run(args: readonly string[]): Promise<{ code: number; errors: string }> {
    const { bin, sysdir, rundir, root } = this.world.places;
    const child = Bun.spawn(
      [`${bin}/svctl`, "-d", sysdir, "-r", rundir, "-t", String(SVCTL_SECONDS), ...args],
      { env: environment(root), stdio: ["ignore", "ignore", "pipe"] },
    );
    const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const errors = await child.stderr.text();
    const code = await child.exited;
    clearTimeout(late);
    if (child.signalCode !== null) {
      this.tally.violation(null, `svctl ${args.join(" ")}: ended by ${child.signalCode}`);
    }
    return { code, errors };
  }

  // ------------------------------------------------------------------- files

  /** touch control/WORD, then wait until it is gone. */
  private async drop(service: Service, word: string): Promise<void> {
    const request = this.request(service, `touch control/${word}`, word);
    // Not a stop but the bare signal.
    if (word === "kill") request.effect = null;
    if (word === "kill") request.stops = false;
    const path = this.world.file(service, "control", word);
    try {
      closeSync(openSync(path, "a"));
    } catch {
      request.effect = null;
      request.done = uptime();
      return;
    }
    const left = () => exists(path) || exists(this.world.file(service, "control", `.${word}`));
    const deadline = uptime() + DROP_SECONDS;
    while (left() && uptime() < deadline) await Bun.sleep(10);
    const away = this.world.wasAway(service, request.sent, uptime());
    if (away) request.sure = false;
    else if (!left()) request.done = uptime();
    else this.tally.violation(service.name, `touch control/${word}: no answer`);
    request.reached = !away && !left();
  }

  private marker(service: Service, action: Action): void {
    const operation =
      action === "rm lock" ? "start" : action === "touch lock" ? "stop" : "mark once";
    const request = this.request(service, action, operation, FILE_SLACK);
    if (operation === "mark once") request.effect = "once";
    const path = this.world.file(service, "lock");
    try {
      if (action === "rm lock") rmSync(path, { force: true });
      else if (action === "touch lock") this.touch(path);
      else this.write(path, "once\n");
    } catch {
      // Its directory has just gone.
      request.effect = null;
    }
    request.done = uptime();
  }

  /** As touch(1) does it; what is there keeps its content: then it is no request to stop. */
  private touch(path: string): void {
    rmSync(path, { force: true });
    closeSync(openSync(path, "a"));
    const now = new Date();
    utimesSync(path, now, now);
  }

  private write(path: string, text: string): void {
    const staged = `${path}.${this.random.below(1e9)}`;
    writeFileSync(staged, text);
    renameSync(staged, path);
  }

  // ------------------------------------------------------------------ SYSDIR

  /** Takes a service out of SYSDIR, or puts it back. */
  private async removeEntry(service: Service): Promise<void> {
    if (service.busy) return;
    if (!service.present) return this.putBack(service);
    service.busy = true;
    this.tally.command("rm entry");
    const request = this.request(service, "rm entry", "remove");
    this.world.remove(service);
    request.stops = true;
    await Bun.sleep(this.random.between(2_500, 5_000));
    if (this.random.chance(0.5)) this.putBack(service);
    service.busy = false;
  }

  private putBack(service: Service): void {
    this.tally.command("add entry");
    this.world.add(service);
    const removal = this.history.requestsOf(service.name).findLast((r) => r.operation === "remove");
    if (removal) removal.done = service.came;
  }

  /** What an editor does: the service must not notice. */
  private async flicker(service: Service): Promise<void> {
    service.busy = true;
    const request = this.request(service, "mv entry away and back", "flicker");
    this.world.remove(service);
    await Bun.sleep(this.random.between(0, FLICKER));
    this.world.add(service);
    // A busy machine made us slow: then it was a removal.
    if (service.came - service.left > REMOVED) request.stops = true;
    request.done = uptime();
    service.busy = false;
  }
}
