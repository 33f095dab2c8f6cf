/** How the letters of runsv and supervise become requests to the supervisor. */
import { HEAL_INTERVAL } from "../../config.ts";
import { Alarm } from "../alarm.ts";
import * as libc from "../libc.ts";
import { IN } from "../libc.ts";
import type { Command, RunDir } from "../rundir.ts";
import type { Watcher } from "../watch.ts";

export class Commands {
  constructor(
    private readonly rundir: RunDir,
    private readonly watcher: () => Watcher | null,
    private readonly say: (text: string) => void,
  ) {}

  /** Carries one out, and waits until that was done. */
  async give(name: string, command: Command): Promise<void> {
    if (command === "once" && this.markOnce(name)) return await this.untilMarked(name);
    await this.send(name, command);
  }

  /**
   * `sv o .` in a run script means the life that it is said in, even if that is over before we act
   * on it: the stop marker says so, while the command `once` would begin another one. True if it
   * was written; a service that is down is to be started.
   */
  private markOnce(name: string): boolean {
    const { process = null, state = "down", wanted = "down" } = this.rundir.status(name) ?? {};
    const lives = process !== null || state === "finishing" || state === "backoff";
    if (wanted !== "up" || !lives) return false;
    return this.rundir.markOnce(name) > 0;
  }

  /** The marker has been seen when the status says so; a life that ends just then may say it later. */
  private async untilMarked(name: string): Promise<void> {
    const alarm = new Alarm(this.watcher);
    const deadline = performance.now() + HEAL_INTERVAL;
    do {
      alarm.watchService(this.rundir, name);
    } while (this.rundir.status(name)?.wanted === "up" && (await alarm.ring(deadline)));
    alarm.forget(name);
  }

  /** One command at a time: what comes later must not overtake it. */
  private async send(name: string, command: Command): Promise<void> {
    const request = this.rundir.request(name, command);
    if (typeof request === "number") {
      return this.say(`${name}: cannot ask for ${command}: ${libc.strerror(request)}`);
    }
    const alarm = new Alarm(this.watcher);
    alarm.watch("answer", request.watchPath, IN.ATTRIB);
    while (!request.isAnswered()) await alarm.ring(Number.POSITIVE_INFINITY);
    alarm.forget("answer");
    request.close();
  }
}
