/** svstat, svc and svok beside Debian's, about services that nobody runs (test/lib/forgery.ts). */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { exists } from "../lib/files.ts";
import { Forgery, inParallel, stateNames } from "../lib/forgery.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const both = ["svstat", "svc", "svok"].every((name) => exists(`/usr/bin/${name}`));
const forgery = new Forgery(`${scratchDirectory()}/forged`);
afterAll(() => forgery[Symbol.asyncDispose]());

/** Services for reading, and things that are none. */
const readable: string[] = [];
for (const state of stateNames) {
  for (const normallyDown of [false, true]) {
    const name = `r${readable.length}`;
    forgery.add(name, { state, normallyDown });
    readable.push(name);
  }
}
forgery.add("never", {});
forgery.add("dead", { state: null });
forgery.add("logged", { state: "running", log: { state: "down" } });
forgery.addBoth((parent) => {
  writeFileSync(`${parent}/file`, "");
  symlinkSync("nowhere", `${parent}/dangling`);
  symlinkSync("loop", `${parent}/loop`);
  symlinkSync("r0", `${parent}/link`);
  mkdirSync(`${parent}/loopdown`);
  symlinkSync("down", `${parent}/loopdown/down`);
});
forgery.add("loopdown", { state: "running" });
const odd = ["never", "dead", "file", "dangling", "loop", "absent", "loopdown", "", "-h", "-"];
const paths = ["./r0", "r0/", "r0//.", "link", "link/", "logged/log", "logged/log/", "."];

async function compare(rows: readonly (readonly string[])[], atOnce = 8): Promise<void> {
  expect(rows.length).toBeGreaterThan(0);
  const wrong = await inParallel(rows, atOnce, async (command) => {
    const last = command.at(-1) ?? "";
    const service = forgery.isControlled(last) ? last : "r0";
    const theirs = await forgery.askTheirs(service, command);
    const ours = await forgery.askOurs(service, command, ["r0", "logged/log"]);
    return Bun.deepEquals(theirs, ours) ? null : JSON.stringify({ command, theirs, ours });
  });
  expect(wrong.filter((w) => w !== null)).toEqual([]);
}

describe.skipIf(!both)("as the originals", () => {
  test("svstat tells of every state", async () => {
    const names = [...readable, ...odd, ...paths];
    // Asked for nothing but -h, ours tells how it is used; and runsv's word for once is down.
    const rows = names.filter((name) => name !== "-h" && !isOnce(name));
    await compare([...rows.map((name) => ["svstat", name]), ["svstat"], ["svstat", ...rows]]);
  });

  test("svok tells whether there is a supervisor", async () => {
    const names = [...readable, ...odd, ...paths].filter((name) => name !== "-h");
    await compare([...names.map((name) => ["svok", name]), ["svok"], ["svok", "r0", "never"]]);
  });

  test("svc sends every letter and every pair of them, in order and once", async () => {
    const letters = [..."udopchaitk"];
    const pairs = letters.flatMap((a) => letters.map((b) => [`-${a}${b}`]));
    const more = [["-u", "-d"], ["-udopchaitk"], ["-ktiahcpodu"], ["-hhh", "-h"], ["--"], []];
    const options = [...letters.map((l) => [`-${l}`]), ...pairs, ...more];
    const rows = options.map((option, i) => {
      forgery.add(`c${i}`, { state: "running" });
      return ["svc", ...option, `c${i}`];
    });
    await compare(rows);
  }, 60_000);

  test("svc says what is wrong", async () => {
    const usage = [["-z"], ["-u", "-z", "r0"], ["-uz", "r0"], ["--"], ["--nonsense", "r0"], ["-"]];
    const rows = [...odd, ...paths].map((name) => ["svc", "-u", name]);
    const all = ["svc", "-h", ...odd.filter((name) => name !== "-h"), "r0"];
    await compare([...rows, ...usage.map((words) => ["svc", ...words]), ["svc"], all], 1);
  }, 60_000);
});

/** daemontools have no word for a service that runs once; the forgery is runit's. */
function isOnce(name: string): boolean {
  const state = stateNames[Math.floor(readable.indexOf(name) / 2)];
  return state === "running once";
}
