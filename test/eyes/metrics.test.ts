/** Prometheus' text format. */
import { expect, test } from "bun:test";
import { escapeLabel, format, type Measured } from "../../src/eyes/metrics.ts";
import { shown } from "../lib/shown.ts";

const usage = { cpu: 1.5, memory: 4096, threads: 3, pids: [812, 813], descriptors: 7 };
const measured: Measured[] = [
  { shown: shown("web", { runs: 3, exit: { signal: 9 } }), usage, uptime: 12.3456 },
  {
    shown: shown('d"b\\\n\xff', {
      state: "down",
      process: null,
      wanted: "down",
      exit: { code: 3 },
    }),
    usage: null,
    uptime: null,
  },
  {
    shown: shown("new", { state: "starting", exit: { unknown: true } }, ["web"]),
    usage: { ...usage, descriptors: null },
    uptime: 0,
  },
];

const text = format(measured);
const sample = (metric: string, service: string) =>
  text
    .split("\n")
    .find((l) => l.startsWith(`sysmgr_service_${metric}{service="${service}"} `))
    ?.split(" ")
    .at(-1);

test.each([
  ["up", "1", "0"],
  ["ready", "1", "0"],
  ["wanted", "1", "0"],
  ["failed", "0", "0"],
  ["waiting", "0", "0"],
  ["restarts_total", "2", "0"],
  ["uptime_seconds", "12.346", undefined],
  ["last_exit_code", "137", "3"],
  ["cpu_seconds_total", "1.5", undefined],
  ["memory_bytes", "4096", undefined],
  ["processes", "2", undefined],
  ["threads", "3", undefined],
  ["open_fds", "7", undefined],
])("%s", (metric, web, db) => {
  const name = 'd\\"b\\\\x5c\\\\x0a\\\\xff';
  expect([sample(metric, "web"), sample(metric, name)]).toEqual([web, db]);
});

test("what is not known is not there", () => {
  expect([sample("last_exit_code", "new"), sample("open_fds", "new")]).toEqual([
    undefined,
    undefined,
  ]);
  expect([sample("ready", "new"), sample("waiting", "new")]).toEqual(["0", "1"]);
});

test("every line is one that Prometheus reads, and each family is in one piece", () => {
  const seen: string[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    const [, help, type, value] =
      line.match(
        /^(?:# HELP (\w+) \S.*|# TYPE (\w+) (?:gauge|counter)|(\w+)\{service="(?:[^"\\\n]|\\[\\"n])*"\} -?\d+(?:\.\d+)?)$/,
      ) ?? [];
    const name = help ?? type ?? value;
    expect(name, line).toBeDefined();
    if (help) expect(seen).not.toContain(help);
    if (help) seen.push(help);
    expect(seen.at(-1)).toBe(name as string);
    // Counters, and only these, are called so.
    if (type) expect(line.endsWith(" counter")).toBe(type.endsWith("_total"));
  }
  expect(seen.length).toBe(13);
  expect(text).toEndWith("\n");
});

test("labels", () => {
  expect(escapeLabel('a\\b"c\nd')).toBe('a\\\\b\\"c\\nd');
});
