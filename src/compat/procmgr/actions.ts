/** What each action does, with a script and without. */
import type { Exit } from "../../status.ts";
import type { Action, Program } from "./config.ts";
import { type Caller, type Order, orderFor } from "./order.ts";
import { type Managed, type Programs, Trouble } from "./programs.ts";
import { type Answer, refusal } from "./request.ts";

/** Runs a script; resolves when it has ended. */
export type RunScript = (order: Order) => Promise<Exit>;

/** Who asks, with which further arguments; nobody, when the daemon itself starts something. */
export type Asked = {
  readonly args: readonly string[];
  readonly caller: Omit<Caller, "waits"> | null;
};

const SUCCESS: Answer = { code: 0 };

/** Those after which the client does not stay. */
const BRIEF: readonly Action[] = ["start", "restart"];

export class Actions {
  private readonly does: Record<Action, (m: Managed, asked: Asked) => Promise<Answer>> = {
    start: (m, asked) => this.programs.inOrder(m, () => this.start(m, asked)),
    restart: (m, asked) => this.restart(m, asked),
    reload: (m, asked) => this.script(m, "reload", asked) ?? this.restart(m, asked),
    signal: async (m, asked) => (await this.script(m, "signal", asked)) ?? SUCCESS,
    stop: (m, asked) => this.stop(m, asked),
    status: async (m, asked) => (await this.script(m, "status", asked)) ?? this.status(m),
  };

  constructor(
    private readonly programs: Programs,
    private readonly run: RunScript,
    private readonly nofile: number,
  ) {}

  async perform(m: Managed, action: Action, asked: Asked): Promise<Answer> {
    try {
      return await this.does[action](m, asked);
    } catch (error) {
      if (error instanceof Trouble) return refusal(error.message);
      throw error;
    }
  }

  private order(m: Managed, action: Action, { args, caller }: Asked): Order | null {
    const pid = String(this.programs.running(m)?.pid ?? "");
    const waits = !BRIEF.includes(action);
    const { nofile } = this;
    return orderFor(m.program, action, {
      args,
      pid,
      nofile,
      caller: caller && { ...caller, waits },
    });
  }

  /** Runs the script of an action to its end; null: it has none. */
  private script(m: Managed, action: Action, asked: Asked): Promise<Answer> | null {
    const order = this.order(m, action, asked);
    return order && this.run(order).then(answerOf);
  }

  private async start(m: Managed, asked: Asked): Promise<Answer> {
    if (this.programs.running(m)) return { code: 1, error: "it runs already" };
    const order = this.order(m, "start", asked);
    if (!order) return noStart(m.program);
    if (!m.listed) return refusal("it is not in the configuration any more");
    await this.programs.launch(m, order);
    return SUCCESS;
  }

  /** A script becomes the program while the old process may still run. */
  private async restart(m: Managed, asked: Asked): Promise<Answer> {
    if (!m.listed) return refusal("it is not in the configuration any more");
    if (m.program.commands.restart === undefined) return this.stopAndStart(m, asked);
    return this.programs.inOrder(m, async () => {
      const order = this.order(m, "restart", asked);
      if (order) await this.programs.launch(m, order, this.programs.running(m) !== null);
      return SUCCESS;
    });
  }

  private async stopAndStart(m: Managed, asked: Asked): Promise<Answer> {
    if (m.program.commands.start === undefined) return noStart(m.program);
    const before = this.programs.running(m);
    if (before) await this.stop(m, asked);
    return this.programs.inOrder(m, async () => {
      // Of several that asked at the same time one has started it.
      const now = this.programs.running(m);
      return now && now.pid !== before?.pid ? SUCCESS : this.start(m, asked);
    });
  }

  /** Waits for the end of the program, not for that of the script. */
  private async stop(m: Managed, asked: Asked): Promise<Answer> {
    const { service } = m;
    const process = this.programs.running(m);
    const order = this.order(m, "stop", asked);
    if (!process) return await this.stopNothing(m, order);
    if (order) {
      this.programs.letGo(service);
      void this.run(order);
    } else await this.programs.ask(service, "down");
    return answerOf(await this.programs.end(service, process));
  }

  private async stopNothing(m: Managed, order: Order | null): Promise<Answer> {
    const wasDue = await this.programs.callOff(m);
    if (order) return answerOf(await this.run(order));
    return wasDue ? SUCCESS : { code: 1, error: "it does not run" };
  }

  private status(m: Managed): Answer {
    const runs = this.programs.running(m) !== null;
    return { code: runs ? 0 : 1, out: runs ? "running\n" : "not running\n" };
  }
}

function noStart({ name }: Program): Answer {
  return refusal(`there is no cmd-start for ${name}`);
}

/** As a shell has it: 128 and the signal's number. */
function answerOf(exit: Exit): Answer {
  if ("code" in exit) return { code: exit.code };
  if ("signal" in exit) return { code: 128 + exit.signal };
  return { code: 0, error: "it has ended; the exit status is not known" };
}
