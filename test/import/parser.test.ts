/** The parts of a supervisord.conf, each by itself; oracle.test.ts holds them against supervisord. */
import { describe, expect, test } from "bun:test";
import { Accounts, accountWords } from "../../src/import/accounts.ts";
import { expand, Names } from "../../src/import/expand.ts";
import { type Files, glob } from "../../src/import/glob.ts";
import { Ini, lower, readIni, strip } from "../../src/import/ini.ts";
import { Invalid, Remarks } from "../../src/import/remarks.ts";
import * as values from "../../src/import/values.ts";
import { splitCommand, splitEnvironment } from "../../src/import/words.ts";

describe("ini", () => {
  function read(...lines: string[]) {
    const [ini, remarks] = [new Ini(), new Remarks()];
    readIni(ini, lines.join("\n"), "f", remarks);
    const options = [...(ini.sections.get("s")?.options ?? [])];
    return {
      values: Object.fromEntries(options.map(([name, { text }]) => [name, text])),
      lines: Object.fromEntries(options.map(([name, { place }]) => [name, place.line])),
      faults: remarks.list.map(({ place, text }) => `${place.line}: ${text}`),
    };
  }

  const rows: [string, string[], Record<string, string>][] = [
    ["options", ["[s]", "a=b", "c : d"], { a: "b", c: "d" }],
    ["names in any case", ["[s]", "aB = c"], { ab: "c" }],
    ["the first = or : parts", ["[s]", "a=b:c=d", "e:f=g"], { a: "b:c=d", e: "f=g" }],
    ["an empty value", ["[s]", "a="], { a: "" }],
    ["the last of several values", ["[s]", "a=b", "a=c"], { a: "c" }],
    ["a section in two parts", ["[s]", "a=b", "[t]", "a=x", "[s]", "c=d"], { a: "b", c: "d" }],
    ["comment lines", ["; x", "[s] ; x", "# y", "a=b", "  ;z"], { a: "b" }],
    [
      "comments after a blank",
      ["[s]", "a=b ;c", "d=e #f", "g=h;i#j"],
      { a: "b", d: "e", g: "h;i#j" },
    ],
    ["continuation lines", ["[s]", "a=b", " c", "\td", "e=f"], { a: "b\nc\nd", e: "f" }],
    ["empty lines in values", ["[s]", "a=b", "", " c", "", "d=e"], { a: "b\n\nc", d: "e" }],
    ["comments in values", ["[s]", "a=b", "; x", " c ; y"], { a: "b\nc" }],
    ["only deeper lines continue", ["[s]", "  a=b", "   c", "  d=e"], { a: "b\nc", d: "e" }],
    ["no line continues a section", ["[s]", "  a=b"], { a: "b" }],
    ["lines that end with CR", ["[s]\r", "a=b\r", " c\r"], { a: "b\nc" }],
    ["UTF-8 with 0xa0", ["[s]", "a=\xc3\xa0 \xc2\xa0"], { a: "\xc3\xa0 \xc2\xa0" }],
  ];
  test.each(rows)("%s", (_, lines, wanted) => {
    expect(read(...lines)).toMatchObject({ values: wanted, faults: [] });
  });

  test("every option has its line", () => {
    expect(read("", "[s]", "a=b", " c", "d=e", "a=f").lines).toEqual({ a: 6, d: 5 });
  });

  test("all faults are told", () => {
    const { faults } = read("x", "y=z", "[s]", "nonsense", "a=b", "=c", "n=\0");
    expect(faults).toEqual([
      "1: neither a comment nor a [section]",
      "4: not OPTION=VALUE",
      "6: not OPTION=VALUE",
      "7: a NUL byte",
    ]);
  });

  test("[DEFAULT] is for all sections", () => {
    const ini = new Ini();
    readIni(ini, "[DEFAULT]\na=b\nc=d\n[s]\nc=e\n", "f", new Remarks());
    const section = ini.sections.get("s");
    expect(section && ["a", "c"].map((name) => ini.get(section, name)?.text)).toEqual(["b", "e"]);
    expect([...ini.sections.keys()]).toEqual(["s"]);
  });

  test("bytes that are no ASCII are left alone", () => {
    expect([strip(" \xa0 "), lower("A\xc3\x84")]).toEqual(["\xa0", "a\xc3\x84"]);
  });
});

describe("commands", () => {
  const rows: [string, string[]][] = [
    ["a  b\tc\nd", ["a", "b", "c", "d"]],
    [`a "b c" 'd e'`, ["a", "b c", "d e"]],
    [`a'b'"c"d`, ["abcd"]],
    [`"" '' a`, ["", "", "a"]],
    [`a\\ b\\"c\\\\`, ['a b"c\\']],
    [`"a\\"b\\\\c\\d"`, [`a"b\\c\\d`]],
    [`'a\\b'`, ["a\\b"]],
    ["$A `b` $(c) && d | e > f; #g", ["$A", "`b`", "$(c)", "&&", "d", "|", "e", ">", "f;", "#g"]],
    ["", []],
  ];
  test.each(rows)("%j", (text, wanted) => {
    expect(splitCommand(text)).toEqual(wanted);
  });

  test.each([`a "b`, "a 'b", "a \\", `"\\`])("%j is wrong", (text) => {
    expect(() => splitCommand(text)).toThrow(Invalid);
  });
});

describe("environments", () => {
  const rows: [string, Record<string, string>][] = [
    ["", {}],
    ["A=b", { A: "b" }],
    [`A="b c",B='d,e'`, { A: "b c", B: "d,e" }],
    [`A="",B=x`, { A: "", B: "x" }],
    ["A=b,\n B=c,", { A: "b", B: "c" }],
    ["A=/x/y:z.w-(v)+1", { A: "/x/y:z.w-(v)+1" }],
    ["A=b,A=c", { A: "c" }],
    [`A="it's"`, { A: "it's" }],
    ["A='b # c'", { A: "b # c" }],
    ["A=\xc3\xa9", { A: "\xc3\xa9" }],
  ];
  test.each(rows)("%j", (text, wanted) => {
    expect(Object.fromEntries(splitEnvironment(text))).toEqual(wanted);
  });

  test.each(["A", "A=", "=b", "A=a@b@c", `A="b`, "A=b=c,D=e"])("%j is wrong", (text) => {
    expect(() => splitEnvironment(text)).toThrow(Invalid);
  });
});

describe("names in values", () => {
  const names = Names.ofEnvironment(new Map([["X", "out"]])).with([
    ["name", "web"],
    ["n", 7],
    ["minus", -7],
  ]);
  test.each([
    ["%(name)s-%(name)s", "web-web"],
    ["%%(name)s", "%(name)s"],
    ["%(n)d|%(n)02d|%(n)3d|%(n)-3d|%(n)+d|% d".replace("% d", "%(n) d"), "7|07|  7|7  |+7| 7"],
    ["%(minus)03d %(minus).3d", "-07 -007"],
    ["%(n)x %(n)#o %(n)s %(n)05s", "7 0o7 7     7"],
    ["%(name)5s|%(name)-5s|%(name).1s", "  web|web  |w"],
    ["%(ENV_X)s", "out"],
  ])("%j", (text, wanted) => {
    expect(expand(text, names)).toBe(wanted);
  });

  test.each([
    "%",
    "50%",
    "%s",
    "%(name)",
    "%(other)s",
    "%(name)d",
    "%(n)q",
    "%(ENV_Y)s",
    "%(n)9999d",
  ])("%j is wrong", (text) => {
    expect(() => expand(text, names)).toThrow(Invalid);
  });

  test("it is known which came from the environment", () => {
    const text = "%(ENV_X)s %(name)s %(ENV_X)s";
    expect(names.outsideIn(text)).toEqual(["X"]);
    expect(names.with([["ENV_X", "in"]]).outsideIn(text)).toEqual([]);
  });
});

describe("values", () => {
  test.each([
    ["10", 10],
    ["10KB", 10_240],
    ["10mb", 10_485_760],
    ["1Gb", 1_073_741_824],
    ["+1_0", 10],
  ])("size %s", (text, wanted) => {
    expect(values.size(text)).toBe(wanted);
  });

  test.each([
    ["TERM", 15],
    ["sigusr1", 10],
    ["9", 9],
    ["RTMIN", 34],
    ["cld", 17],
  ])("signal %s", (text, wanted) => {
    expect(values.signal(text)).toBe(wanted);
  });

  const wrong: [(text: string) => unknown, string][] = [
    [values.integer, "1.5"],
    [values.integer, ""],
    [values.boolean, "maybe"],
    [values.autoRestart, "sometimes"],
    [values.size, "5M"],
    [values.octal, "8"],
    [values.exitCodes, "256"],
    [values.signal, "0"],
    [values.signal, "NOSUCH"],
    [values.processName, "a b"],
  ];
  test.each(wrong)("%p %j is wrong", (parse, text) => {
    expect(() => parse(text)).toThrow(Invalid);
  });
});

describe("patterns", () => {
  const tree: Record<string, string[]> = {
    "/": ["etc", "srv"],
    "/etc": ["a.conf", "b.conf", ".c.conf", "[d].conf", "sub", "x-y"],
    "/etc/sub": ["e.conf", "f.ini"],
  };
  const files: Files = {
    list: (directory) => tree[directory] ?? [],
    exists: (path) => {
      const [, directory = "", name = ""] = path.match(/^(.*)\/([^/]*)$/) ?? [];
      return (tree[directory || "/"] ?? []).includes(name);
    },
  };
  test.each([
    ["/etc/a.conf", "/etc/a.conf"],
    ["/etc/nothing", ""],
    ["/etc/*.conf", "/etc/[d].conf /etc/a.conf /etc/b.conf"],
    ["/etc/.*.conf", "/etc/.c.conf"],
    ["/etc/[ab].conf", "/etc/a.conf /etc/b.conf"],
    ["/etc/[!a].conf", "/etc/b.conf"],
    ["/etc/[a-b].conf", "/etc/a.conf /etc/b.conf"],
    ["/etc/[b-a].conf", ""],
    ["/etc/[[]*", "/etc/[d].conf"],
    ["/etc/?-y", "/etc/x-y"],
    ["/*/*/e.*", "/etc/sub/e.conf"],
    ["/etc/{a,b}.conf", ""],
    ["//etc//a.conf", "/etc/a.conf"],
  ])("%s", (pattern, wanted) => {
    expect(glob(pattern, files).join(" ")).toBe(wanted);
  });
});

describe("accounts", () => {
  const accounts = new Accounts(
    "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/x\nbad line\nlost:x:5:99::/:/x\n",
    "root:x:0:\nwww:x:33:\ncerts:x:40:other,web\nvideo:x:44:webs\nwww2:x:33:web\n",
  );
  const words = (user: string) => {
    const found = accounts.find(user);
    return found && accountWords(found);
  };

  test("a user has its own group and those that list it", () => {
    expect(accounts.find("web")).toMatchObject({ uid: 33, home: "/var/www" });
    expect(words("web")).toBe("web:www:certs:www2");
    expect(words("33")).toBe("web:www:certs:www2");
  });

  test("the own group alone is not named", () => {
    expect([words("root"), words("lost"), words("nobody")]).toEqual(["root", "lost", null]);
  });

  test("groups", () => {
    expect(["certs", "40", "none"].map((name) => accounts.group(name))).toEqual([
      "certs",
      "certs",
      null,
    ]);
  });
});
