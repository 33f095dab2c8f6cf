/** Command lines: options by getopt's rules, values as they were typed, no guesses. */
import { describe, expect, test } from "bun:test";
import { VERSION } from "../config.ts";
import {
  answeredHelp,
  Failure,
  type OptionSpec,
  parseOptions,
  parseSeconds,
  UsageError,
} from "../src/cli.ts";

const spec: OptionSpec = {
  boolean: ["h", "q", "verbose"],
  string: ["d", "t", "nofile"],
  alias: { h: "help", q: "quiet", d: "sysdir" },
};
const words = (line: string) => (line === "" ? [] : line.split(" "));

/** What was understood: the options that were given, then the operands. */
function understood(args: readonly string[], extra: Partial<OptionSpec> = {}): string[] {
  const options = parseOptions(args, { ...spec, ...extra });
  const flags = (spec.boolean ?? []).filter((name) => options.has(name));
  const values = (spec.string ?? [])
    .map((name) => [name, options.value(name)] as const)
    .flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`));
  return [[...flags, ...values].join(" "), ...options.operands];
}

describe("options", () => {
  test.each([
    ["", ""],
    ["-q", "q"],
    ["-hq", "h q"],
    ["--quiet --verbose", "q verbose"],
    ["-q -q", "q"],
    ["-d X", "d=X"],
    ["-dX", "d=X"],
    ["-d=X", "d==X"],
    ["-qdX", "q d=X"],
    ["-qd X -h", "h q d=X"],
    ["-dq", "d=q"],
    ["--sysdir X", "d=X"],
    ["--sysdir=X", "d=X"],
    ["--sysdir=a=b", "d=a=b"],
    ["--nofile=9", "nofile=9"],
    ["-d X --sysdir Y -dZ", "d=Z"],
    ["-dZ -q --sysdir X", "q d=X"],
  ])("'%s' are understood as '%s'", (line, expected) => {
    expect(understood(words(line))).toEqual([expected]);
  });

  test("are asked for by letter, and a long one that has no letter by its name", () => {
    const options = parseOptions(["--help", "--nofile", "9"], spec);
    expect([options.has("h"), options.value("nofile")]).toEqual([true, "9"]);
    expect([options.has("q"), options.value("d")]).toEqual([false, undefined]);
  });

  test.each([
    "-x",
    "-qx",
    "-qx Y",
    "--unknown",
    "--unknown=1",
    "--no-quiet",
    "--no-sysdir",
    "---quiet",
    "--qui",
    "--=x",
    "-=",
    "-q-",
    "-_ x",
    "--_ x",
    "-5",
    "--constructor",
    "--toString",
    "--__proto__",
    "--__proto__=x",
    "-\xff",
  ])("'%s': unknown", (line) => {
    expect(() => parseOptions(words(line), spec)).toThrow(UsageError);
    expect(() => parseOptions(words(line), spec)).toThrow(/^unknown option -/);
  });

  test.each(["-d", "-qd", "-d ", "--sysdir", "--sysdir=", "-d X -d", "-d X --sysdir= -q"])(
    "'%s': a value is missing",
    (line) => {
      expect(() => parseOptions(words(line), spec)).toThrow(UsageError);
      expect(() => parseOptions(words(line), spec)).toThrow(/needs a value$/);
    },
  );

  test.each(["--quiet=yes", "--quiet=false", "--help="])("'%s': one too many", (arg) => {
    expect(() => parseOptions([arg], spec)).toThrow(UsageError);
  });

  test("are named in the message as they are written", () => {
    const said = (...args: string[]) => {
      try {
        return String(parseOptions(args, spec));
      } catch (error) {
        return error instanceof Error ? error.message : error;
      }
    };
    expect(said("-qx")).toBe("unknown option -x");
    expect(said("--unknown=1")).toBe("unknown option --unknown");
    expect(said("-d")).toBe("option -d needs a value");
    expect(said("--nofile")).toBe("option --nofile needs a value");
    expect(said("--sysdir")).toMatch(/^option (-d|--sysdir) needs a value$/);
  });
});

describe("values and operands", () => {
  test.each([
    "007",
    "1e3",
    "0x10",
    "1.0",
    "-5",
    "--",
    "-q",
    "true",
    "false",
    "a b\nc",
    "\xff",
    "=",
  ])("a value %j stays as it is", (value) => {
    expect(parseOptions(["-d", value], spec).value("d")).toBe(value);
    expect(parseOptions([`-qd${value}`], spec).value("d")).toBe(value);
    expect(parseOptions(["--sysdir", value], spec).value("d")).toBe(value);
    expect(parseOptions([`--sysdir=${value}`], spec).value("d")).toBe(value);
  });

  test.each(["007", "1e3", "0x10", "true", "false", "", "-", "a=b", "\xff", "constructor"])(
    "an operand %j stays as it is, also behind an option",
    (operand) => {
      expect(understood([operand])).toEqual(["", operand]);
      expect(understood(["-q", operand])).toEqual(["q", operand]);
      expect(understood(["--quiet", operand, "x"])).toEqual(["q", operand, "x"]);
      expect(understood(["-d", "X", operand])).toEqual(["d=X", operand]);
    },
  );

  test("may be mixed", () => {
    expect(understood(["a", "-q", "b", "-d", "X", "c"])).toEqual(["q d=X", "a", "b", "c"]);
  });

  test("after -- everything is an operand, a second -- too", () => {
    expect(understood(["-q", "--", "-h", "--", "-d"])).toEqual(["q", "-h", "--", "-d"]);
    expect(understood(["a", "--"])).toEqual(["", "a"]);
    expect(understood(["-d", "--", "--", "-h"])).toEqual(["d=--", "-h"]);
  });
});

describe("a program that takes a command line", () => {
  const early = { stopEarly: true };
  test.each([
    ["-q prog -h -x --unknown", ["q", "prog", "-h", "-x", "--unknown"]],
    ["prog -- -q", ["", "prog", "--", "-q"]],
    ["-- prog -q --", ["", "prog", "-q", "--"]],
    ["-- -- -q", ["", "--", "-q"]],
    ["-d X true 007 -q", ["d=X", "true", "007", "-q"]],
    ["-q true", ["q", "true"]],
    ["- -q", ["", "-", "-q"]],
    [" -q", ["", "", "-q"]],
  ])("leaves it alone: '%s' is %j", (line, expected) => {
    expect(understood(words(line), early)).toEqual(expected);
  });
});

test("a waiting time is whole seconds, and nothing else", () => {
  expect([parseSeconds("7", "-t"), parseSeconds("0", "-t")]).toEqual([7_000, 0]);
  for (const text of ["", "-1", "1.5", "1e3", "7s", " 7", "forever"]) {
    expect(() => parseSeconds(text, "-t")).toThrow(
      new UsageError(`-t: not a number of seconds: ${text}`),
    );
  }
});

test("what cannot be done has exit code 1, unless it says another", () => {
  expect(new Failure("x").exitCode).toBe(1);
  expect(new Failure("x", 111).exitCode).toBe(111);
});

test("a program without options has operands only", () => {
  expect(parseOptions(["a", "b"], {}).operands).toEqual(["a", "b"]);
  expect(() => parseOptions(["-a"], {})).toThrow(UsageError);
});

test("what is written for nobody ends us as SIGPIPE would; what cannot be written is an error", () => {
  const code = `
    const cli = await import(${JSON.stringify(`${import.meta.dir}/../src/cli.ts`)});
    try { cli.out("text"); } catch (error) { cli.complain("prog", error.message); }`;
  const run = (script: string) => {
    const { stderr } = Bun.spawnSync(["sh", "-c", script, "sh", process.execPath, "-e", code]);
    return stderr.toString();
  };
  const unheard = '(trap "" PIPE; while echo; do sleep 0.1; done) 2>/dev/null';
  expect(run(`{ ${unheard}; "$@"; echo $? >&2; } | exit 0`)).toBe("141\n");
  expect(run('"$@" >/dev/full')).toBe(
    "prog: cannot write standard output: No space left on device\n",
  );
});

test("help and version are answered on standard output, help first", () => {
  const code = `
    const cli = await import(${JSON.stringify(`${import.meta.dir}/../src/cli.ts`)});
    const options = cli.parseOptions(process.argv.slice(1), { boolean: ["h", "V"] });
    console.error(cli.answeredHelp(options, "usage: prog [-hV]\\n\\nDo it.\\n"));`;
  const run = (...args: string[]) => {
    const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", code, "--", ...args]);
    return [stdout.toString(), stderr.toString()];
  };
  expect(run("-h")).toEqual(["usage: prog [-hV]\n\nDo it.\n", "true\n"]);
  expect(run("-Vh")).toEqual(["usage: prog [-hV]\n\nDo it.\n", "true\n"]);
  expect(run("-V")).toEqual([`prog ${VERSION}\n`, "true\n"]);
  expect(run()).toEqual(["", "false\n"]);
  expect(answeredHelp(parseOptions([], spec), "usage: prog\n")).toBeFalse();
});
