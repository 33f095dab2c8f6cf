/** sv beside Debian's, asked about services that nobody runs (test/lib/forgery.ts): every word. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { exists } from "../lib/files.ts";
import { type Answer, type Directory, Forgery, inParallel, stateNames } from "../lib/forgery.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const both = exists("/usr/bin/sv");
const forgery = new Forgery(`${scratchDirectory()}/forged`);
afterAll(() => forgery[Symbol.asyncDispose]());

type Row = { readonly service: string; readonly command: readonly string[] };

let services = 0;

/** A service of its own for each row, so that what is sent is sent by that. */
function row(directory: Directory, ...command: string[]): Row {
  const service = `s${services++}`;
  forgery.add(service, directory);
  return { service, command: [...command, service] };
}

async function compare(rows: readonly Row[], atOnce = 24): Promise<void> {
  expect(rows.length).toBeGreaterThan(0);
  const wrong = await inParallel(rows, atOnce, async ({ service, command }) => {
    const [theirs, ours] = await Promise.all([
      forgery.askTheirs(service, command),
      forgery.askOurs(service, command),
    ]);
    return Bun.deepEquals(comparable(theirs), comparable(ours))
      ? null
      : JSON.stringify({ command, theirs, ours });
  });
  expect(wrong.filter((w) => w !== null)).toEqual([]);
}

const WORDS = [
  ..."up down once pause cont hup alarm interrupt quit 1 2 term kill".split(" "),
  ..."exit start stop reload restart shutdown try-restart check".split(" "),
  ..."force-stop force-reload force-restart force-shutdown status".split(" "),
];
const LETTERS = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"];
const ODD = [
  "",
  "-",
  "?",
  "checks",
  "stat",
  "started",
  "stopped",
  "restarts",
  "re",
  "force",
  "try",
];

const SECOND: Directory = { state: "running" };

/** Up and down are sent even where they are no news; to exit is to be down. */
function comparable(answer: Answer): Answer {
  return { ...answer, sent: answer.sent.replace(/^[udx](?=k?$)/, "") };
}

describe.skipIf(!both)("sv does as the original", () => {
  test("the status in every state, normally up or down, with every logger", async () => {
    const logs: (Directory | undefined)[] = [
      undefined,
      ...stateNames.map((state) => ({ state })),
      { state: "running", normallyDown: true },
      { state: "down", normallyDown: true },
    ];
    const rows = stateNames.flatMap((state) =>
      logs.flatMap((log, i) =>
        // Each state of a service with each of its logger; the other half is seen by then.
        [...(i < 2 ? [false, true] : [i % 2 === 0])].map((normallyDown) =>
          row({ state, normallyDown, ...(log ? { log } : {}) }, "sv", "status"),
        ),
      ),
    );
    await compare(rows);
  });

  test("every letter and every word, without waiting", async () => {
    const forced = /^(D|E|T|X|.*(start|stop|load|shutdown))$/;
    const words = [...LETTERS, ...WORDS, ...ODD].filter((word) => !forced.test(word));
    const rows = words.map((word) => row({ state: "running" }, "sv", word));
    await compare(rows);
  });

  test("every word, waiting, for a service in every state", async () => {
    const rows = stateNames.flatMap((state) =>
      [...WORDS, ..."DETX"]
        .filter((word) => !isKnownToDiffer(word, state))
        .map((word) => row({ state }, "sv", "-w0", word)),
    );
    await compare(rows);
  });

  test("what waits for a check", async () => {
    const checks = ["exit 0", "exit 1", "exit 100", "pwd | grep -q '/s[0-9]*$'"];
    const words = ["check", "start", "up", "cont", "restart", "reload"];
    const rows = checks.flatMap((check) =>
      (["running", "down"] as const).flatMap((state) =>
        words.map((word) => row({ state, check: `#!/bin/sh\n${check}\n` }, "sv", "-w0", word)),
      ),
    );
    await compare(rows);
  });

  test("a check that cannot be run is said and passes", async () => {
    const rows = ["check", "start"].map((word) =>
      row({ state: "running", check: "#!/no/such/interpreter\n" }, "sv", "-w0", word),
    );
    await compare(rows);
  });

  test("as an init script", async () => {
    const words = [...WORDS, "s", "stat", "foo", "X", "T", "", "-z", "-w", "-v"];
    const states = ["running", "down", "about to start", "finishing", null, undefined] as const;
    const directories: Directory[] = states.map((state) => (state === undefined ? {} : { state }));
    const rows = directories.flatMap((directory) =>
      words
        .filter((word) => !directory.state || !isKnownToDiffer(word, directory.state))
        .map((word) => {
          const { service } = row(directory);
          forgery.addScript(service);
          const options = word.startsWith("-") ? [] : ["-w0"];
          return { service, command: [`./init.d/${service}`, ...options, word] };
        }),
    );
    await compare(rows);
  });

  test("where there is nothing to control", async () => {
    forgery.add("never", {});
    forgery.add("dead", { state: null });
    forgery.add("web", SECOND);
    forgery.add("deadlog", { state: "running", log: { state: null } });
    forgery.addBoth((parent) => {
      writeFileSync(`${parent}/file`, "");
      symlinkSync("nowhere", `${parent}/dangling`);
      symlinkSync("loop", `${parent}/loop`);
      for (const name of ["loopdown", "filelog", "looplog", "danglinglog"]) {
        mkdirSync(`${parent}/${name}`);
      }
      symlinkSync("down", `${parent}/loopdown/down`);
      writeFileSync(`${parent}/filelog/log`, "");
      symlinkSync("log", `${parent}/looplog/log`);
      symlinkSync("nowhere", `${parent}/danglinglog/log`);
    });
    for (const name of ["loopdown", "filelog", "looplog", "danglinglog"]) {
      forgery.add(name, { state: "running" });
    }
    const names = ["never", "dead", "web", "deadlog", "file", "dangling", "loop", "absent", ""];
    const odd = ["loopdown", "filelog", "looplog", "danglinglog"];
    const words = ["status", "up", "exit", "-w0 restart", "-v hup", "check", "X"];
    const rows = [
      ...words.flatMap((word) =>
        names
          .filter((name) => !/log$|web/.test(name) || /status|hup|check/.test(word))
          .map((name) => ["sv", ...word.split(" "), name]),
      ),
      ...["status", "-v hup"].flatMap((word) =>
        odd.map((name) => ["sv", ...word.split(" "), name]),
      ),
      ["sv", "status", ...names, ...odd],
      ["sv", "hup", ...names],
    ];
    // One after the other: they share what they control.
    await compare(
      rows.map((command) => ({ service: "web", command })),
      1,
    );
  });

  test("wrong usage, options, and names in all forms", async () => {
    forgery.add("names", { state: "running", log: { state: "running" } });
    const commands = [
      "",
      "-v",
      "-w",
      "-w 1",
      "-z",
      "-vz hup names",
      "-hv",
      "up",
      "-v up",
      "-- hup names",
      "- hup names",
      "--hup names",
      "-w x hup names",
      "-w 5abc hup names",
      "-w5 hup names",
      "-vw5 hup names",
      "-w 0 -v hup names",
      "hup -v names",
      "status names/",
      "status names//",
      "status ./names",
      "status ././names/.",
      "status names/log",
      "status ./names/log/",
      "status names names",
      "status .",
      "status ..",
      "hup names names",
      "-v hup names names names/log",
      "foo names",
      "foo",
    ];
    const rows = commands.map((text) => ({
      service: "names",
      command: ["sv", ...text.split(" ").filter((word) => word !== "")],
    }));
    await compare(rows, 1);
  });

  test("more than 99 failures are 99", async () => {
    const absent = Array.from({ length: 120 }, (_, i) => `absent${i}`);
    await compare([{ service: "web", command: ["sv", "status", ...absent] }]);
  });
});

/**
 * Exit: runsv goes by itself, a scanner stays, and so nothing more is awaited where all is down.
 * A service that is being stopped is not up again before it has ended, whatever is wanted.
 */
function isKnownToDiffer(word: string, state: string): boolean {
  if (/^(e|exit|x|shutdown|force-shutdown|E|X)$/.test(word)) return state === "down";
  if (/^(u|up|start)$/.test(word)) return state === "stopping" || state === "restarting";
  return false;
}
