/** What we read in a supervisord.conf is what supervisord itself does. */
import { describe, expect, test } from "bun:test";
import { makeDirectory, read, write } from "../lib/files.ts";
import { chooseSeed, Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";
import {
  haveSupervisor,
  supervisorUnderstands,
  type Understood,
  weUnderstand,
} from "./understood.ts";

const dir = scratchDirectory();
const seed = chooseSeed();
makeDirectory(`${dir}/conf.d/sub`);
makeDirectory(`${dir}/log`);
write(`${dir}/conf.d/a.conf`, "[program:a]\ncommand=a %(here)s\n[program:late]\ncommand=second\n");
write(`${dir}/conf.d/b.conf`, "[program:b]\ncommand=b\n[include]\nfiles=sub/*.conf\n");
write(`${dir}/conf.d/.hidden.conf`, "[program:hidden]\ncommand=x\n");
write(`${dir}/conf.d/sub/c.conf`, "[program:c]\ncommand=c %(here)s/x\ndirectory=%(here)s\n");
write(`${dir}/conf.d/[odd].ini`, "[program:odd]\ncommand=odd\n");

/** The options of a program that has a command. */
const options = (...lines: string[]) =>
  `[supervisord]\n[program:web]\ncommand=x\n${lines.join("\n")}\n`;
const command = (text: string) => `[supervisord]\n[program:web]\ncommand=${text}\n`;
const environment = (text: string) => options(`environment=${text}`);
const both = (text: string, ...lines: string[]) => `[supervisord]\n${text}\n${lines.join("\n")}\n`;
const WEB = "[program:web]\ncommand=x\n";

const ACCEPTED: string[] = [
  // The file
  options(),
  "x",
  "x=1\n[supervisord]\n",
  "[supervisord\n",
  `\n; a\n# b\n  ; c\n[supervisord] ; d\n${WEB}`,
  `[supervisord]x\n[program:web]] y\ncommand=x\n`,
  `[supervisord]\r\n[program:web]\r\ncommand=x\r\n`,
  `[supervisord]\r[program:web]\rcommand=x y\r`,
  both(WEB, "nonsense"),
  both(WEB, "=x"),
  both(WEB, ":x"),
  both("[program:web]", "command: a=b"),
  both("[program:web]", "COMMAND = a"),
  both("[program:web]", "command=a", "command=b c"),
  both("[program:web]", "command=a", "[program:db]", "command=d", "[program:web]", "umask=077"),
  both("[program:web]", "  command = a", "  umask = 077", "directory=/"),
  both("[program:web]", "command=a", "  b", "", "  c ; d", "  ; e", "\t#f", "  g", "umask=22"),
  both("[program:web]", "command =", "  a", "  b=c", "  [x]"),
  both("[program:web]", "  command=a", "   b", " umask=22"),
  both("[DEFAULT]", "umask=077", "command=d", "[program:web]", "[program:db]", "umask=02"),
  both("[DEFAULT]", "programs=web", "[group:g]", WEB),
  both("[nothing]", "a=b", WEB),
  `[supervisord]\n[program:\xc3\xbc]\ncommand=x \xc3\xa9\n`,
  // Comments
  ...[
    "a;b",
    "a ;b",
    "a\t;b",
    "a #b",
    "a#b",
    "a;b ;c #d",
    "a#b;c ;d",
    "a ';' b",
    "a ' ;' b",
    ";a",
    "a;;b ;;c",
    "x;y;z # q ; r",
    "x#y ; z",
  ].map(command),
  // Commands
  ...[
    "",
    "  ",
    "a b  c\td",
    `a "b c" 'd e'`,
    `a "b'c" 'd"e'`,
    `a b"c d"e`,
    `a ""`,
    `a '' x`,
    `a "b`,
    "a 'b",
    "a \\",
    "a b\\ c",
    `a "b\\"c\\d\\\\e"`,
    `a 'b\\c'`,
    "a\\b",
    "a $HOME `id` $(id) && b | c > d",
    "a %% b",
    "a %(program_name)s %(group_name)s %(process_num)d %(numprocs)d",
    "a %(process_num)s %(process_num)02d %(process_num)5d| %(process_num)-5d| %(process_num)+d",
    "a %(process_num)x %(process_num)03X %(process_num)#o %(process_num).3d %(process_num)i",
    "a %(program_name)8s| %(program_name)-8s| %(program_name).2s %(program_name)08s",
    "a %(program_name)d",
    "a %(process_num)q",
    "a %(host_node_name)s %(here)s",
    "a %(ENV_GREETING)s '%(ENV_GREETING)s' x%(ENV_EMPTY)sx",
    "a %(ENV_QUOTES)s",
    "a %(ENV_PERCENT)s",
    "a %(ENV_NOT_SET)s",
    "a %(nothing)s",
    "a 50%",
    "a % b",
    "a %d",
    "a %(program_name)",
    "a %(program_name",
    "a %%(program_name)s",
    "a \xc3\xa9 '\xe2\x82\xac'",
    '/bin/sh -c \'exec "$0" "$@"\' a',
    "a=b c",
  ].map(command),
  // Environments
  ...[
    "",
    "A=b",
    `A="b"`,
    `A="b c",B='d e'`,
    `A="b,c",B=d`,
    `A="",B=''`,
    "A=",
    "A",
    "=b",
    "A=b B=c",
    "A=b,B",
    "A=b,",
    "A=b,\n  B=c,\n  C=d",
    `A="b\n  c"`,
    `A=/usr/bin:/bin,B=a.b-c+d()`,
    `A="it's",B='"'`,
    `A=b"c d"e,B=f`,
    `A="b`,
    "A=b@c",
    "A=$HOME",
    "A=b=c,D=e",
    "A-B=c,C.D/E=f",
    `"A"=b`,
    "A=b,A=c",
    "A=b#c\n  ,B=d",
    `A="#",B="x"`,
    "A='%(ENV_GREETING)s',B=%(program_name)s,C=%(process_num)d",
    "A='50%%'",
    "A=\xc3\xa9,B=c",
    "A='\xc3\xa9 \xe2\x82\xac',B=c",
    `A="\\"",B=c`,
    `A=",",B="'"`,
  ].map(environment),
  // [supervisord]'s environment, which is expanded twice, and is there for names
  both(`environment=A="b",C='d'\n[program:web]\ncommand=x %(ENV_A)s\nenvironment=C="%(ENV_A)s2"`),
  both(`environment=A='%%%%'\n${WEB}`),
  both(`environment=A='%%'\n${WEB}`),
  both(`environment=A='%(ENV_PERCENT)s'\n${WEB}`),
  both(`environment=A='%(host_node_name)s'\n${WEB}`),
  both(`environment=A=\n${WEB}`),
  both("[program:web]\ncommand=x %(ENV_A)s\nenvironment=A=b\ndirectory=/%(ENV_A)s"),
  both("[program:web]\ncommand=x\nenvironment=A=b,B=%(ENV_A)s"),
  both("[program:web]\ncommand=x\nenvironment=A=b\numask=%(ENV_A)s"),
  // Values
  ...["0", "022", "77", "0o27", "8", "x", "", "  027 "].map((v) => options(`umask=${v}`)),
  ...["true", "TRUE", "yes", "on", "1", "false", "No", "off", "0", "2", "", "t"].flatMap((v) => [
    options(`autostart=${v}`),
    options(`autorestart=${v}`),
    options(`redirect_stderr=${v}`),
    options(`stopasgroup=${v}`),
    options(`killasgroup=${v}`),
  ]),
  options("autorestart=unexpected"),
  options("autorestart=Unexpected"),
  options("autorestart=sometimes"),
  options("stopasgroup=true", "killasgroup=false"),
  options("stopasgroup=false", "killasgroup=true"),
  ...["0", "0,2", " 1 , 2", "256", "-1", "", "x", "0,,1", "0 2", "1_0"].map((v) =>
    options(`exitcodes=${v}`),
  ),
  ...["0", "10", "+5", "-5", "1.5", "", "x", "1_000", "007"].flatMap((v) => [
    options(`startsecs=${v}`),
    options(`stopwaitsecs=${v}`),
    options(`startretries=${v}`),
    options(`priority=${v}`),
  ]),
  ...[
    "TERM",
    "SIGTERM",
    "term",
    "sigkill",
    "9",
    "15",
    "USR1",
    "RTMIN",
    "34",
    "CLD",
    "99",
    "X",
    "",
  ].map((v) => options(`stopsignal=${v}`)),
  ...["0", "1", "10KB", "10kb", "5MB", "1GB", "5 MB", "5M", "MB", "x", ""].map((v) =>
    options(`stdout_logfile_maxbytes=${v}`, `stderr_logfile_backups=${v}`),
  ),
  ...[
    "/dev/null",
    "/dev/stdout",
    "NONE",
    "none",
    "off",
    "auto",
    "AUTO",
    "syslog",
    "web.log",
    `${dir}/log/%(program_name)s.log`,
    `${dir}/log/%%x`,
    `${dir}/log/%%%%x`,
    "/tmp/%(process_num)02d",
    "%(here)s/x",
  ].map((v) => options(`stdout_logfile=${v}`, `stderr_logfile=${v}`)),
  options("redirect_stderr=true", "stderr_logfile=/tmp/x"),
  options("stdout_syslog=true", "stderr_syslog=yes"),
  options("stdout_capture_maxbytes=1MB", "stderr_events_enabled=true"),
  options("stdout_capture_maxbytes=x"),
  options("user=root"),
  options("user=0"),
  options("user=nobody"),
  options("directory=/tmp", "serverurl=AUTO", "nonsense=1"),
  options("directory=%(here)s/%(program_name)s"),
  // Names and numbers
  options("process_name=a b"),
  options("process_name=a:b"),
  options("process_name=a/b"),
  options("process_name=%(ENV_PATH)s"),
  options("process_name=%(program_name)s_%(process_num)02d"),
  options("numprocs=3"),
  options("numprocs=3", "process_name=%(process_num)s"),
  options("numprocs=3", "process_name=x%(process_num)03d", "numprocs_start=8"),
  options("numprocs=0"),
  options("numprocs=-1"),
  options("numprocs=x"),
  both(
    "[program:w]\ncommand=x %(process_num)d of %(numprocs)d\nnumprocs=2",
    "process_name=%(process_num)d\nenvironment=N='%(process_num)d'",
    "directory=/tmp/%(process_num)d\nstdout_logfile=/tmp/%(process_num)d.log",
  ),
  both("[program:a b]\ncommand=x"),
  both("[program:a:b]\ncommand=x"),
  both("[program:]\ncommand=x"),
  both("[program: web ]\ncommand=x %(program_name)s"),
  both("[program:web]\numask=022"),
  // Groups
  both("[group:g]\nprograms=web", WEB),
  both("[group:g]\nprograms= web , db\npriority=5", WEB, "[program:db]\ncommand=d %(group_name)s"),
  both("[group:g]\nprograms=nothing", WEB),
  both("[group:g]", WEB),
  both("[group:g]\nprograms=", WEB),
  both("[group:g]\nprograms=web,,", WEB),
  both("[group:a b]\nprograms=web", WEB),
  both("[group:g]\nprograms=web\npriority=x", WEB),
  both("[group:g]\nprograms=web", "[group:h]\nprograms=web", WEB),
  both("[group:g]\nprograms=web", WEB, "[fcgi-program:web]\ncommand=x\nsocket=tcp://h:1"),
  // Other sections
  both("[unix_http_server]\nfile=/tmp/s\nchmod=0770\nchown=root:root", WEB),
  both("[supervisorctl]\nserverurl=unix:///tmp/s", WEB),
  // What is included
  both("[include]\nfiles=conf.d/a.conf", WEB),
  both("[include]\nfiles=conf.d/*.conf", "[program:late]\ncommand=first\numask=077"),
  both("[include]\nfiles = conf.d/[!a].conf conf.d/sub/?.conf"),
  both("[include]\nfiles =\n  conf.d/b*\n  conf.d/*/c.conf"),
  both("[include]\nfiles = conf.d/[[]*.ini conf.d/[]x[]*"),
  both("[include]\nfiles = conf.d/{a,b}.conf conf.d/**/c.conf", WEB),
  both("[include]\nfiles = %(here)s/conf.d/a.conf %(ENV_EMPTY)s", WEB),
  both(`[include]\nfiles = ${dir}/conf.d/.h*`, WEB),
  both("[include]\nfiles = nothing/*", WEB),
  both("[include]\nfiles = conf.d/[b-a].conf conf.d/[a", WEB),
  both("[include]", WEB),
  both("[include]\nfiles = %(nothing)s", WEB),
  both("[include]\nfiles=conf.d/a.conf", "[program:web]\ncommand=x %(here)s %%(here)s"),
  both("[program:web]\ncommand=x %(here)s %%(here)s"),
];

/** supervisord wants to have these otherwise. */
const MORE: [string, string][] = [
  ["a file that others include", WEB],
  ["an empty file", ""],
  ["a user that is not here", options("user=not-a-user-here")],
  ["a log in a directory that is not here", options("stdout_logfile=/not-here/x")],
  ["a directory that is not here", both("directory=/not-here", WEB)],
  ["an event listener with errors", both(WEB, "[eventlistener:x]\ncommand=y")],
];

let files = 0;

function file(text: string): string {
  const path = `${dir}/${++files}.conf`;
  write(path, text);
  return path;
}

describe.skipIf(!haveSupervisor)("the same as supervisord", () => {
  const paths = ACCEPTED.map(file);
  const theirs = haveSupervisor ? supervisorUnderstands(paths) : Promise.resolve([]);

  test.each(ACCEPTED.map((text, i) => [text, i] as const))("%j", async (_, i) => {
    const wanted: unknown = (await theirs)[i];
    expect(wanted).not.toBeUndefined();
    expect(weUnderstand(paths[i] ?? "")).toEqual(wanted as Understood);
  });

  test.each(MORE)("more is accepted: %s", async (_, text) => {
    const path = file(text);
    expect(await supervisorUnderstands([path])).toEqual([null]);
    expect(weUnderstand(path)).not.toBeNull();
  });

  test(`random files (SEED=${seed})`, async () => {
    const random = new Random(seed);
    const paths = Array.from({ length: 400 }, () => file(randomFile(random)));
    const theirs = await supervisorUnderstands(paths);
    for (const [i, path] of paths.entries()) {
      const wanted = hasOddName(theirs[i] ?? null) ? null : theirs[i];
      expect([read(path), weUnderstand(path)]).toEqual([read(path), wanted as Understood]);
    }
    expect(theirs.filter((found) => found !== null).length).toBeGreaterThan(40);
  });
});

/** No variable has a = in its name: that we refuse. */
function hasOddName(found: Understood): boolean {
  const names = (found ?? []).flatMap(({ environment }) => Object.keys(environment as object));
  return names.some((name) => name.includes("="));
}

/** Mostly plausible lines, made of what matters to the parsers. */
function randomFile(random: Random): string {
  const some = (alphabet: string): string => random.bytes(random.below(14), alphabet);
  const lines = ["[supervisord]", "[program:web]", "command=x"];
  for (let n = random.below(6); n > 0; n--) {
    lines.push(
      random.pick<() => string>([
        () => `command=x ${some("ab \\\"';#\t")}`,
        () => `environment=A=${some("ab,='\" #/.B")}`,
        () => `environment=A="${some("ab,=' ;B")}",B=c`,
        () => `umask=${some("0127")}`,
        () => `${some(" \t")}${some("ab=:")}`,
        () => `  ${some("ab ;#")}`,
        () => `[program:${some("ab")}x]`,
        () =>
          `directory=${some("/ab d()s")}%(program_name)${random.bytes(random.below(4), "025.- ")}s`,
        () => `exitcodes=${some("0129, ")}`,
        () => "",
      ])(),
    );
  }
  return `${lines.join("\n")}\n`;
}
