/** What the tables of svstat, svc and svok have in common: services, and things that are none. */
import { afterAll, expect } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../unit/scratch.ts";
import { exists } from "./files.ts";
import { Forgery, inParallel, type StateName, stateNames } from "./forgery.ts";

export class DaemontoolsTable {
  readonly forgery = new Forgery(`${scratchDirectory()}/forged`);
  /** A service in each state, normally up and normally down. */
  readonly services: string[] = [];
  /** Where there is nothing, or nothing good. */
  readonly odd = ["never", "dead", "file", "dangling", "loop", "absent", "loopdown", "", "-"];
  /** Other ways to a service. */
  readonly paths = ["./s0", "s0/", "s0//.", "link", "link/", "logged/log", "logged/log/", "."];

  constructor() {
    const { forgery } = this;
    afterAll(() => forgery[Symbol.asyncDispose]());
    for (const state of stateNames) {
      for (const normallyDown of [false, true]) {
        const name = `s${this.services.length}`;
        forgery.add(name, { state, normallyDown });
        this.services.push(name);
      }
    }
    forgery.add("never", {});
    forgery.add("dead", { state: null });
    forgery.add("logged", { state: "running", log: { state: "down" } });
    forgery.addBoth((parent) => {
      writeFileSync(`${parent}/file`, "");
      symlinkSync("nowhere", `${parent}/dangling`);
      symlinkSync("loop", `${parent}/loop`);
      symlinkSync("s0", `${parent}/link`);
      mkdirSync(`${parent}/loopdown`);
      symlinkSync("down", `${parent}/loopdown/down`);
    });
    forgery.add("loopdown", { state: "running" });
  }

  stateOf(service: string): StateName | undefined {
    return stateNames[Math.floor(this.services.indexOf(service) / 2)];
  }

  /** Runs each command on both sides; so many at once, which must not control the same service. */
  async compare(rows: readonly (readonly string[])[], atOnce = 8): Promise<void> {
    expect(rows.length).toBeGreaterThan(0);
    const wrong = await inParallel(rows, atOnce, async (command) => {
      const last = command.at(-1) ?? "";
      const service = this.forgery.isControlled(last) ? last : "s0";
      const theirs = await this.forgery.askTheirs(service, command);
      const ours = await this.forgery.askOurs(service, command, ["s0", "logged/log"]);
      return Bun.deepEquals(theirs, ours) ? null : JSON.stringify({ command, theirs, ours });
    });
    expect(wrong.filter((w) => w !== null)).toEqual([]);
  }
}

export const haveDaemontools = ["svstat", "svc", "svok"].every((name) =>
  exists(`/usr/bin/${name}`),
);
