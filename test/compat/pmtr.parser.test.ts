/** pmtr.conf: what each option means, and every error by its line. */
import { describe, expect, test } from "bun:test";
import { inOrder, type Job, PLAIN_JOB } from "../../src/compat/pmtr/config.ts";
import { ULIMIT_FLAGS } from "../../src/compat/pmtr/options.ts";
import { parse, problemsOf } from "../unit/pmtr-config.ts";

/** The only job of a configuration that has no problems. */
function jobOf(...lines: string[]): Partial<Job> {
  const named = lines.some((l) => /^\s*name\s/.test(l)) ? lines : ["name x", ...lines];
  const complete = named.some((l) => /^\s*cmd\s/.test(l)) ? named : [...named, "cmd /x"];
  const { config, problems } = parse(`job {\n${complete.join("\n")}\n}\n`);
  expect(problems).toEqual([]);
  const [job] = config.jobs;
  const said = Object.entries(job ?? {}).filter(([key, value]) => {
    return JSON.stringify(value) !== JSON.stringify(PLAIN_JOB[key as keyof Job]);
  });
  return Object.fromEntries(said);
}

const x = { name: "x", cmd: ["/x"] };

describe("options", () => {
  const cases: [string, string[], Partial<Job>][] = [
    ["a name and a cmd are all that is needed", ["name x", "cmd /x"], x],
    ["the order of options does not matter", ["cmd /x", "name x"], x],
    ["indentation does not matter", ["\t name   x", " \t cmd\t/x  \r"], x],
    ["blank lines and comment lines do not matter", ["", "# name y", "  # }", "name x", " "], x],
    ["cmd takes arguments", ["cmd /a -b c"], { ...x, cmd: ["/a", "-b", "c"] }],
    ["cmd takes arguments in double quotes", ['cmd /a "b c" d'], { ...x, cmd: ["/a", "b c", "d"] }],
    [
      "cmd expands nothing",
      ["cmd /a $HOME `b` * ~ 'c"],
      { ...x, cmd: ["/a", "$HOME", "`b`", "*", "~", "'c"] },
    ],
    ["a number sign within a line is no comment", ["cmd /a #b"], { ...x, cmd: ["/a", "#b"] }],
    [
      "percent signs of the guide's example",
      ["cmd /a -w %Y%m%d.pcap"],
      { ...x, cmd: ["/a", "-w", "%Y%m%d.pcap"] },
    ],
    ["an empty argument", ['cmd /a ""'], { ...x, cmd: ["/a", ""] }],
    ["quotes within a word", ['cmd /a --b="c d"e'], { ...x, cmd: ["/a", "--b=c de"] }],
    ["a quote within quotes", ['cmd /a "b \\" c"'], { ...x, cmd: ["/a", 'b " c'] }],
    [
      "backslashes are ordinary",
      ['cmd /a \\n "\\n \\d \\\\x"'],
      { ...x, cmd: ["/a", "\\n", "\\n \\d \\\\x"] },
    ],
    [
      "backslashes before a quote count by pairs",
      ['cmd /a "b\\\\" c'],
      { ...x, cmd: ["/a", "b\\", "c"] },
    ],
    [
      "a line end within quotes",
      ['cmd /a "b\nc"', "wait"],
      { ...x, cmd: ["/a", "b\nc"], wait: true },
    ],
    ["names in quotes hold anything", ['name "a b/c { $x"'], { ...x, name: "a b/c { $x" }],
    ["dir", ["dir /a"], { ...x, dir: "/a" }],
    ["out, err and in", ["out /a", "err b", "in ../c"], { ...x, out: "/a", err: "b", in: "../c" }],
    [
      "env, repeatable",
      ["env A=1", 'env "B=2 3"', "env C="],
      { ...x, env: ["A=1", "B=2 3", "C="] },
    ],
    ["user", ["user me"], { ...x, user: "me" }],
    ["nice", ["nice -5"], { ...x, nice: -5 }],
    ["cpu: a list with ranges", ["cpu 0,2-3"], { ...x, cpu: "0,2-3" }],
    ["cpu: a mask", ["cpu 0x5"], { ...x, cpu: "0x5" }],
    ["disable", ["disable"], { ...x, disable: true }],
    ["wait and once", ["wait", "once"], { ...x, wait: true, once: true }],
    ["order", ["order -3"], { ...x, order: -3 }],
    [
      "depends: a file in each line",
      ["depends {", "/a", "  # no", "", "  b", "}"],
      { ...x, depends: ["/a", "b"] },
    ],
    ["depends: braces in quotes are files", ["depends", "{", '"}"', "}"], { ...x, depends: ["}"] }],
  ];
  test.each(cases)("%s", (_, lines, expected) => {
    expect(jobOf(...lines)).toEqual(expected);
  });

  test.each([
    ["45s", 45],
    ["5m", 300],
    ["2h", 7_200],
    ["1d", 86_400],
  ])("bounce every %s", (interval, seconds) => {
    expect(jobOf(`bounce every ${interval}`).bounce).toBe(seconds);
  });

  test.each([...ULIMIT_FLAGS])("ulimit -%s", (flag) => {
    expect(jobOf(`ulimit -${flag} 30`).ulimits).toEqual([{ flag, value: "30" }]);
  });

  test.each([
    ["infinity", "infinity"],
    ["unlimited", "infinity"],
    ["0", "0"],
    ["18446744073709551614", "18446744073709551614"],
  ])("ulimit -n %s", (value, expected) => {
    expect(jobOf(`ulimit -n ${value}`, "ulimit -c 0").ulimits?.[0]).toEqual({
      flag: "n",
      value: expected,
    });
  });

  test("report and listen stand outside of jobs", () => {
    const text = "report to udp://239.0.0.1:9999@eth2\nlisten on udp://0.0.0.0:10000\n";
    expect(parse(text)).toEqual({
      config: {
        jobs: [],
        report: { host: "239.0.0.1", port: 9999, device: "eth2" },
        listen: { host: "0.0.0.0", port: 10_000, device: null },
      },
      problems: [],
    });
  });

  test("neither is there unless it is asked for", () => {
    expect(parse("").config).toEqual({ jobs: [], report: null, listen: null });
  });

  test("the brace may stand on the next line", () => {
    expect(parse("job\n{\nname x\ncmd /x\n}\n").problems).toEqual([]);
  });

  test("jobs are started by their order, then as they stand in the file", () => {
    const jobs = [0, 1, -1, 0].map((order, i) => ({ ...PLAIN_JOB, name: `${i}`, order }));
    expect(inOrder(jobs).map((j) => j.name)).toEqual(["2", "0", "3", "1"]);
  });

  test("the guide's examples", () => {
    const text = `job {
  name capture
  dir /mnt/archive
  cmd /usr/sbin/tcpdump -i eth0 -s 0 -G 10 -w %Y%m%d%H%M%S.pcap
}

job {
  name py-server
  dir /home/py
  cmd /bin/bash -c "ifconfig eth1 up; sleep 5; exec python server.py"
}
`;
    const { config, problems } = parse(text);
    expect(problems).toEqual([]);
    expect(config.jobs.map((j) => [j.name, j.dir, j.cmd.at(-1)])).toEqual([
      ["capture", "/mnt/archive", "%Y%m%d%H%M%S.pcap"],
      ["py-server", "/home/py", "ifconfig eth1 up; sleep 5; exec python server.py"],
    ]);
  });
});

describe("errors", () => {
  const inJob = (line: string) => `job {\nname x\ncmd /x\n${line}\n}\n`;
  const cases: [string, string, string][] = [
    ["an unknown option", inJob("nmae x"), "4: expected an option of a job, not nmae"],
    [
      "an unknown option outside of jobs",
      "jobs {\n",
      "1: expected job {, report to or listen on, not jobs",
    ],
    ["no name", "job {\ncmd /x\n}\n", "1: job: expected a name in it"],
    ["no cmd", "\njob {\nname x\n}\n", "2: job: expected a cmd in it"],
    ["a name without a word", inJob("").replace("name x", "name"), "2: name: expected a name"],
    ["an empty name", inJob("").replace("name x", 'name ""'), "2: name: expected a name, not "],
    [
      "two words in a name",
      inJob("").replace("name x", "name x y"),
      "2: name: expected a name, and nothing after it (quotes hold blanks)",
    ],
    [
      "a name that is taken",
      `${inJob("")}${inJob("")}`,
      "7: name: expected another one: x is taken in line 2",
    ],
    ["cmd twice", inJob("cmd /y"), "4: cmd: expected only once in a job; it is in line 3, too"],
    [
      "cmd by a relative path",
      inJob("").replace("/x", "x"),
      "3: cmd: expected a program by its absolute path, not x",
    ],
    [
      "cmd without a word",
      inJob("").replace("cmd /x", "cmd"),
      "3: cmd: expected a program by its absolute path",
    ],
    [
      "dir by a relative path",
      inJob("dir x"),
      "4: dir: expected a directory by its absolute path, not x",
    ],
    ["env without a value", inJob("env A"), "4: env: expected NAME=VALUE, not A"],
    ["env without a name", inJob("env =A"), "4: env: expected NAME=VALUE, not =A"],
    [
      "a user who is unknown",
      inJob("user nobody-here"),
      "4: user: expected the name of a user of this system, not nobody-here",
    ],
    [
      "a ulimit flag that is unknown",
      inJob("ulimit -z 3"),
      `4: ulimit: expected a flag, -${[...ULIMIT_FLAGS].join(" -")}, not -z`,
    ],
    [
      "a ulimit without a value",
      inJob("ulimit -n"),
      "4: ulimit: expected a flag and a value, as in -n 30",
    ],
    [
      "a ulimit that is no number",
      inJob("ulimit -n many"),
      "4: ulimit: expected a number or infinity, not many",
    ],
    [
      "a ulimit that no limit can be",
      inJob("ulimit -n 99999999999999999999"),
      "4: ulimit: expected a number or infinity, not 99999999999999999999",
    ],
    ["nice out of range", inJob("nice 20"), "4: nice: expected a number from -20 to 19, not 20"],
    ["nice that is no number", inJob("nice x"), "4: nice: expected a number from -20 to 19, not x"],
    [
      "a range of processors that runs backwards",
      inJob("cpu 3-2"),
      "4: cpu: expected processors, as in 0,2-3 or 0x5, not 3-2",
    ],
    ["an empty mask", inJob("cpu 0x0"), "4: cpu: expected processors, as in 0,2-3 or 0x5, not 0x0"],
    [
      "an interval without a unit",
      inJob("bounce every 5"),
      "4: bounce: expected a number with a unit (s, m, h or d), not 5",
    ],
    [
      "an interval with a bad unit",
      inJob("bounce every 5w"),
      "4: bounce: expected a number with a unit (s, m, h or d), not 5w",
    ],
    [
      "an interval of nothing",
      inJob("bounce every 0s"),
      "4: bounce: expected a number with a unit (s, m, h or d), not 0s",
    ],
    [
      "bounce without every",
      inJob("bounce 5m"),
      "4: bounce: expected every and an interval, as in every 5m",
    ],
    ["words after disable", inJob("disable now"), "4: disable: expected nothing after it"],
    [
      "an order that is no number",
      inJob("order first"),
      "4: order: expected a whole number, not first",
    ],
    [
      "two files in a line of depends",
      inJob("depends {\n/a /b\n}"),
      "5: depends: expected one file in each line",
    ],
    [
      "depends without its end",
      "job {\nname x\ncmd /x\ndepends {\n/a\n",
      "4: depends: expected } at its end",
    ],
    ["a job without its end", "job {\nname x\ncmd /x\n", "1: job: expected } at its end"],
    [
      "a job without its end, before another one",
      `job {\nname y\ncmd /y\n${inJob("")}`,
      "1: job: expected } at its end",
    ],
    ["a job without its brace", "job\nname x\ncmd /x\n}\n", "1: job: expected { after it"],
    ["a brace too many", `${inJob("")}}\n`, "6: expected no }: nothing is open"],
    [
      "words after a brace",
      "job { name x\nname x\ncmd /x\n}\n",
      "1: job: expected a new line after {",
    ],
    ["a quote that is not closed", inJob('env "A=1'), '4: expected a closing " for the one here'],
    ["a NUL byte", inJob("env A=\0"), "4: a NUL byte: no argument can hold one"],
    [
      "a report to nowhere",
      "report to host\n",
      "1: report to: expected udp://HOST:PORT, perhaps with @INTERFACE",
    ],
    [
      "a port that is none",
      "report to udp://host:65536\n",
      "1: report to: expected udp://HOST:PORT, perhaps with @INTERFACE",
    ],
    [
      "a listener with an interface",
      "listen on udp://127.0.0.1:1@lo\n",
      "1: listen on: expected udp://ADDRESS:PORT",
    ],
    [
      "two listeners",
      "listen on udp://127.0.0.1:1\nlisten on udp://127.0.0.1:2\n",
      "2: listen on: expected only once in a file",
    ],
  ];
  test.each(cases)("%s", (_, text, expected) => {
    expect(problemsOf(text)).toContain(expected);
  });

  test("each of these is the only one of its file, but where one entails another", () => {
    const entailing = [
      "a name",
      "an empty name",
      "two words in a name",
      "cmd",
      "depends without",
      "a job without its brace",
      "an unknown option outside",
    ];
    for (const [what, text] of cases) {
      if (!entailing.some((e) => what.startsWith(e)))
        expect([what, problemsOf(text).length]).toEqual([what, 1]);
    }
  });

  test("all errors of a file are told, in the order of their lines", () => {
    const text = 'job {\nname x\ncmd x\nfoo\nnice 99\n}\njob {\nname x\nuser "x\n}\nbar\n';
    expect(problemsOf(text).map((p) => Number.parseInt(p, 10))).toEqual([3, 4, 5, 7, 8, 9, 9, 11]);
  });

  test("lines after a text in quotes of several lines are counted right", () => {
    expect(problemsOf('job {\nname x\ncmd /x "a\nb\nc"\nfoo\n}\n')).toEqual([
      "6: expected an option of a job, not foo",
    ]);
  });

  test("names that JavaScript knows are no options", () => {
    for (const word of ["constructor", "__proto__", "toString"]) {
      expect(problemsOf(inJob(word))).toEqual([`4: expected an option of a job, not ${word}`]);
    }
  });
});
