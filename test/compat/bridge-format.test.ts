/** The forms in which runsv and supervise tell of a service. */
import { expect, test } from "bun:test";
import { pidText, statText, statusBytes, type View } from "../../src/compat/bridge-format.ts";

const UP: View = {
  state: "run",
  pid: 0x01020304,
  since: 1_000_000_000_123,
  wanted: "up",
  paused: false,
  gotTerm: false,
  asked: false,
};

const hex = (bytes: string) => Buffer.from(bytes, "latin1").toString("hex");

test("status is a TAI64N label, the pid from its lowest byte on, and flags", () => {
  const label = "400000003b9aca0a0754d4c0";
  expect(hex(statusBytes(UP, "runit"))).toBe(`${label}0403020100750001`);
  expect(hex(statusBytes(UP, "daemontools"))).toBe(`${label}040302010075`);
});

for (const [changes, runit, daemontools, stat] of [
  [{ paused: true }, "01750001", "0175", "run, paused"],
  [{ gotTerm: true }, "00750101", "0075", "run, got TERM"],
  [{ wanted: "down" }, "00640001", "0064", "run, want down"],
  [{ wanted: "once" }, "00640001", "0000", "run, want down"],
  [{ wanted: "exit" }, "00640001", "0075", "run, want exit"],
  [{ asked: true }, "00000001", "0000", "run"],
  [{ state: "finish" }, "00750002", "0075", "finish"],
  [{ state: "finish", wanted: "down" }, "00640002", "0064", "finish, want down"],
  [{ state: "down", pid: 0 }, "00750000", "0075", "down"],
  [{ state: "down", pid: 0, wanted: "down" }, "00640000", "0064", "down"],
  [
    { paused: true, gotTerm: true, wanted: "exit" },
    "01640101",
    "0175",
    "run, paused, got TERM, want exit",
  ],
] as const) {
  test(`${JSON.stringify(changes)} is ${stat}`, () => {
    const view: View = { ...UP, ...changes };
    expect(hex(statusBytes(view, "runit")).slice(32)).toBe(runit);
    expect(hex(statusBytes(view, "daemontools")).slice(32)).toBe(daemontools);
    expect(statText(view)).toBe(`${stat}\n`);
  });
}

test("pid is empty while there is no process; supervise knows none of a finish", () => {
  expect(pidText(UP)).toBe("16909060\n");
  expect(pidText({ ...UP, pid: 0 })).toBe("");
  const finish = statusBytes({ ...UP, state: "finish" }, "daemontools");
  expect(hex(finish).slice(24, 32)).toBe("00000000");
});
