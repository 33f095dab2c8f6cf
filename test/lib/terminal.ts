/** A program on a terminal of its own. */
import type { Sandbox } from "./sandbox.ts";
import { until } from "./until.ts";

export type Size = { readonly cols: number; readonly rows: number };

export class OnTerminal {
  private text = "";
  readonly child: Bun.Subprocess;

  constructor(
    box: Sandbox,
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
    size: Size = { cols: 80, rows: 24 },
  ) {
    this.child = Bun.spawn([...words], {
      env: {
        ...box.environment,
        SYSDIR: box.sysdir,
        RUNDIR: box.rundir,
        TERM: "xterm",
        PS1: "$ ",
        ...env,
      },
      terminal: {
        ...size,
        data: (_, bytes) => {
          this.text += Buffer.from(bytes).toString("latin1");
        },
      },
    });
  }

  /** Everything that it has written so far, with ^[ for each escape byte. */
  get said(): string {
    return this.text.replaceAll("\x1b", "^[");
  }

  type(keys: string): void {
    this.child.terminal?.write(keys);
  }

  resize({ cols, rows }: Size): void {
    this.child.terminal?.resize(cols, rows);
  }

  /** Waits until it has written that, since it had written so much. */
  async says(pattern: RegExp, after = 0): Promise<void> {
    await until(() => pattern.test(this.said.slice(after)), `it says ${pattern}`);
  }
}
