/** procmgr: who may do what, each asked by a process of that very user. */
import { expect } from "bun:test";
import { ACTIONS } from "../../src/compat/procmgr/config.ts";
import { exists, write } from "../lib/files.ts";
import { as, type Procmgr, requestText, scene, sleeper } from "../lib/procmgr.ts";
import { BIN } from "../lib/sandbox.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const USER = 60_001;
const GROUP = 60_002;

/** How somebody comes to ask, and by which ids he may be allowed. */
const CALLERS = {
  root: { wrapper: as(0), uid: 0, gid: 0 },
  "the user": { wrapper: as(USER, 60_009), uid: USER, gid: 60_009 },
  "a member of the group": { wrapper: as(60_008, GROUP), uid: 60_008, gid: GROUP },
  "a stranger": { wrapper: as(60_007), uid: 60_007, gid: 60_007 },
} as const;

/** Where an id can be named, from the widest to the narrowest; none takes away what a wider one gave. */
const PLACES = ["global", "section", "action"] as const;
const VALUES = { uid: [undefined, "none", USER], gid: [undefined, "none", GROUP] } as const;
type Value = "none" | number | undefined;

type Row = { readonly uid: Value[]; readonly gid: Value[] };

/** Every way to name an id at three places. */
function ways(values: readonly Value[]): Value[][] {
  return PLACES.reduce<Value[][]>(
    (all, _) => all.flatMap((w) => values.map((v) => [...w, v])),
    [[]],
  );
}

/** What counts in the end. */
function effective(way: readonly Value[]): number | null {
  const last = way.findLast((value) => value !== undefined);
  return typeof last === "number" ? last : null;
}

/** The ids of three places as configuration; a program for each row with the same globals. */
function configuration(rows: readonly Row[], globals: readonly [Value, Value]): string {
  const line = (key: string, value: Value) => (value === undefined ? [] : [`${key} = ${value}`]);
  const program = ({ uid, gid }: Row, i: number) => [
    `[prog-${i}]`,
    ...line("allow-uid", uid[1]),
    ...line("allow-gid", gid[1]),
    ...ACTIONS.flatMap((a) => [
      `cmd-${a} = exit 0`,
      ...line(`uid-${a}`, uid[2]),
      ...line(`gid-${a}`, gid[2]),
    ]),
  ];
  const lines = [...line("allow-uid", globals[0]), ...line("allow-gid", globals[1])];
  return [...lines, ...rows.flatMap(program), ""].join("\n");
}

/** 0 or 1: done, or it runs already, or not any more; 111: refused. */
async function ask(
  p: Procmgr,
  program: string,
  action: string,
  wrapper: readonly string[],
): Promise<boolean> {
  const { code, err } = await p.run([program, action], { wrapper });
  if (code !== 111) return true;
  expect(err).toBe("procmgr: permission denied\n");
  return false;
}

/** So many at a time: the machine is not ours alone. */
const AT_ONCE = 4;

async function each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const work = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

scene(
  "every caller, every action, by the user and the group that the action names, and by none",
  async (p) => {
    const rows: Row[] = [
      { uid: [undefined, undefined, USER], gid: [undefined, undefined, GROUP] },
      { uid: [undefined, undefined, USER], gid: [undefined, undefined, "none"] },
      { uid: [undefined, undefined, "none"], gid: [undefined, undefined, GROUP] },
      { uid: [undefined, undefined, "none"], gid: [undefined, undefined, "none"] },
    ];
    await p.start(configuration(rows, [undefined, undefined]));
    const cases = rows.flatMap((row, i) =>
      Object.entries(CALLERS).flatMap(([who, c]) =>
        ACTIONS.map((action) => ({ row, i, who, c, action })),
      ),
    );
    await each(cases, async ({ row, i, who, c, action }) => {
      const allowed = c.uid === 0 || c.uid === effective(row.uid) || c.gid === effective(row.gid);
      expect([who, action, i, await ask(p, `${i}`, action, c.wrapper)]).toEqual([
        who,
        action,
        i,
        allowed,
      ]);
    });
  },
  have.setpriv,
);

for (const globals of VALUES.uid.map((uid, i) => [uid, VALUES.gid[i]] as const)) {
  const words = globals.map((value) => value ?? "unset").join(" and ");
  scene(
    `what an action says wins over its section, and that over the global ${words}`,
    async (p) => {
      const uids = ways(VALUES.uid).filter(([first]) => first === globals[0]);
      const gids = ways(VALUES.gid).filter(([first]) => first === globals[1]);
      // Neither rule knows of the other: a third of all pairs, each way to say one with three of the other.
      const rows = uids.flatMap((uid, u) =>
        gids.filter((_, g) => (u + Math.floor(g / 3)) % 3 === 0).map((gid) => ({ uid, gid })),
      );
      await p.start(configuration(rows, globals));
      // Which action does not matter: the first test has them all.
      const cases = rows.flatMap((row, i) =>
        Object.entries(CALLERS)
          .filter((_, j) => j === 1 || j === 2 || (i + j) % 9 === 0)
          .map(([who, c]) => ({ row, i, who, c })),
      );
      await each(cases, async ({ row, i, who, c }) => {
        const allowed = c.uid === 0 || c.uid === effective(row.uid) || c.gid === effective(row.gid);
        expect([who, row, await ask(p, `${i}`, "signal", c.wrapper)]).toEqual([who, row, allowed]);
      });
    },
    have.setpriv,
  );
}

scene(
  "a group counts that the client's user is in, as sg(1) makes it; a set-group-ID program's does not",
  async (p) => {
    await p.start(`[prog-web]\nallow-gid = ${GROUP}\ncmd-signal = exit 0\n`);
    // Not the group of the process, but one that it is in: it is not what the client sends.
    expect(await ask(p, "web", "signal", as(60_008, 60_008, [GROUP]))).toBe(false);
    expect(await ask(p, "web", "signal", as(60_008, GROUP, [60_008]))).toBe(true);
    const effectiveOnly = [
      "setpriv",
      "--reuid=60008",
      `--egid=${GROUP}`,
      "--rgid=60008",
      "--clear-groups",
    ];
    const { code, err } = await p.run(["-c", p.conf, "web", "signal"], {
      wrapper: effectiveOnly,
    });
    expect([code, err]).toEqual([111, "procmgr: the client has more rights than its user\n"]);
  },
  have.setpriv,
);

scene(
  "who may go into the group by sg(1) is allowed there, and nowhere else",
  async (p) => {
    await p.start(`[prog-web]\nallow-gid = ${GROUP}\ncmd-signal = exit 0\n`);
    write(`${p.dir}/passwd`, "member:x:60008:60008::/:/bin/sh\nother:x:60007:60007::/:/bin/sh\n");
    write(`${p.dir}/group`, `clients:x:${GROUP}:member\n`);
    // Without a terminal, where sg would ask for a password.
    const accounts =
      'for f in passwd group; do mount --bind "$0/$f" /etc/$f; done; exec setsid -w "$@"';
    const asked = async (uid: number, ...through: string[]) => {
      const wrapper = ["unshare", "-m", "sh", "-c", accounts, p.dir, ...as(uid), ...through];
      return await p.box.run(["-c", `'${BIN}/procmgr' -c '${p.conf}' web signal`], { wrapper });
    };
    expect(await asked(60_008, "sg", "clients")).toEqual({ code: 0, out: "", err: "" });
    const refused = { code: 111, out: "", err: "procmgr: permission denied\n" };
    expect(await asked(60_008, "sh")).toEqual(refused);
    expect((await asked(60_007, "sg", "clients")).code).not.toBe(0);
  },
  have.setpriv && have.mounts && Bun.which("sg") !== null,
);

scene(
  "a client whose user ids differ is refused",
  async (p) => {
    await p.start(`[prog-web]\nallow-uid = ${USER}\ncmd-signal = exit 0\n`);
    const wrapper = ["setpriv", `--ruid=${USER}`, "--euid=0", "--keep-groups"];
    const { code, err } = await p.run(["web", "signal"], { wrapper });
    expect(code).toBe(111);
    expect(err).toBe("procmgr: the client does not belong to who made the request\n");
  },
  have.setpriv,
);

scene(
  "a process with other groups or with capabilities is nobody's to name; a group is who is in it",
  async (p) => {
    await p.start(`[prog-web]\nallow-uid = ${USER}\ncmd-signal = cat >${p.dir}/stolen\n`);
    const secret = Bun.file(p.conf);
    const rights = [
      ["setpriv", `--reuid=${USER}`, `--rgid=${USER}`, `--egid=${GROUP}`, "--clear-groups"],
      [
        "setpriv",
        `--reuid=${USER}`,
        `--regid=${USER}`,
        "--clear-groups",
        "--inh-caps=+net_raw",
        "--ambient-caps=+net_raw",
      ],
    ];
    for (const wrapper of rights) {
      const child = Bun.spawn([...wrapper, "sleep", p.forever], {
        env: p.environment,
        stdio: [secret, "ignore", "ignore"],
      });
      await until(() => p.sleeping.includes(child.pid), "it sleeps");
      const request = p.forge({ uid: USER, text: requestText(child.pid, "web", "signal") });
      expect(await request.outcome()).toContain("error=the client has more rights than its user\n");
    }
    const { pid } = await sleeper(p, USER);
    const request = p.forge({ uid: USER, gid: GROUP, text: requestText(pid, "web", "signal") });
    expect(await request.outcome()).toContain("error=the client is not in that group\n");
    expect(exists(`${p.dir}/stolen`)).toBe(false);
  },
  have.setpriv,
);
