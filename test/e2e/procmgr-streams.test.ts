/** procmgr: a script's streams are the client's: its own descriptors, or copies through FIFOs. */
import { expect } from "bun:test";
import { closeSync, openSync, symlinkSync } from "node:fs";
import { read, write } from "../lib/files.ts";
import { as, type Procmgr, requestText, scene, sleeper } from "../lib/procmgr.ts";
import { BIN } from "../lib/sandbox.ts";
import { have } from "../lib/scenario.ts";
import { PATIENCE, until } from "../lib/until.ts";

const USER = 60_001;

/** A root that may not look into the processes of others. */
const WITHOUT_PTRACE = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];

/** How the daemon gets them, and by whom it is asked. */
const WAYS = {
  "the client's own descriptors": { daemon: [], client: [] },
  "FIFOs, where those are refused": { daemon: WITHOUT_PTRACE, client: as(USER) },
} as const;

/** Bytes of every kind, without a period that buffers could share. */
const BINARY = Buffer.from(
  Array.from({ length: 200_003 }, (_, i) => (i * 7 + (i >> 8)) & 0xff),
).toString("latin1");

const program = (...lines: string[]) => `[prog-web]\nallow-uid = ${USER}\n${lines.join("\n")}\n`;

for (const [how, { daemon, client: wrapper }] of Object.entries(WAYS)) {
  const begin = (p: Procmgr, ...lines: string[]) => p.start(program(...lines), [], [...daemon]);

  scene(
    `binary, both ways and to both outputs, by ${how}`,
    async (p) => {
      await begin(p, "cmd-signal = tee /dev/fd/3 3>&2; exit 4");
      const { code, out, err } = await p.run(["web", "signal"], { wrapper, input: BINARY });
      expect([code, out === BINARY, err === BINARY]).toEqual([4, true, true]);
    },
    have.setpriv,
  );

  scene(
    `20 MB through a pipe, by ${how}`,
    async (p) => {
      await begin(p, "cmd-signal = cat");
      const client = [...wrapper, `${BIN}/procmgr`, "web", "signal"].join(" ");
      const line = `head -c 20000000 /dev/urandom >${p.dir}/sent; cat ${p.dir}/sent | ${client} | cmp - ${p.dir}/sent`;
      const { code, out, err } = await p.box.run(["bash", "-o", "pipefail", "-c", line], {
        env: p.environment,
      });
      expect({ code, out, err }).toEqual({ code: 0, out: "", err: "" });
    },
    have.setpriv,
  );

  scene(
    `a script that does not read, or whose output nobody reads, hangs nobody, by ${how}`,
    async (p) => {
      await begin(p, "cmd-signal = exit 6", "cmd-status = exec 2>/dev/null; yes; exit 7");
      const none = await p.run(["web", "signal"], { wrapper, input: BINARY });
      expect(none.code).toBe(6);
      const client = [...wrapper, `${BIN}/procmgr`, "web", "status"].join(" ");
      const line = `${client} | head -c 10 >/dev/null; echo "\${PIPESTATUS[0]}"`;
      const { out } = await p.box.run(["bash", "-c", line], { env: p.environment });
      expect(out).toBe("7\n");
    },
    have.setpriv,
  );

  scene(
    `the end of the client's input is the script's, by ${how}`,
    async (p) => {
      await begin(p, "cmd-signal = wc -c");
      expect((await p.run(["web", "signal"], { wrapper, input: "" })).out.trim()).toBe("0");
      expect((await p.run(["web", "signal"], { wrapper, input: "12345" })).out.trim()).toBe("5");
      expect((await p.run(["web", "signal"], { wrapper })).out.trim()).toBe("0");
    },
    have.setpriv,
  );

  scene(
    `what a script leaves running does not keep the client, by ${how}`,
    async (p) => {
      await begin(p, `cmd-signal = sleep ${p.forever} & echo done`);
      const { code, out } = await p.run(["web", "signal"], { wrapper });
      expect([code, out]).toEqual([0, "done\n"]);
      await p.sleeps();
      p.killSleeping();
    },
    have.setpriv,
  );
}

scene("closed streams are /dev/null, not what happens to be opened next", async (p) => {
  await p.start(program('cmd-signal = a=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo "$a" >&2'));
  const { err } = await p.box.run(["sh", "-c", `${BIN}/procmgr web signal <&- >&-`], {
    env: p.environment,
  });
  expect(err).toBe("/dev/null\n/dev/null\n");
});

scene("a terminal stays a terminal", async (p) => {
  await p.start(
    program(
      'cmd-signal = test -t 0 && test -t 1 && test -t 2 && tty && read line && echo "got $line"; exit 5',
    ),
  );
  const { shown } = await onTerminal(p, ["web", "signal"], "words\n");
  expect(shown).toMatch(/^\/dev\/pts\/\d+$/m);
  expect(shown).toMatch(/^got words$/m);
  expect(shown).toMatch(/^END 5$/m);
});

scene(
  "a terminal through FIFOs is none, and all arrives",
  async (p) => {
    await p.start(
      program('cmd-signal = test -t 1 || echo none; read line; echo "got $line"; exit 5'),
      [],
      WITHOUT_PTRACE,
    );
    const { shown } = await onTerminal(p, ["web", "signal"], "words\n", as(USER));
    expect(shown).toMatch(/^none$/m);
    expect(shown).toMatch(/^got words$/m);
    expect(shown).toMatch(/^END 5$/m);
  },
  have.setpriv,
);

scene("what start has begun keeps the client's streams after the client", async (p) => {
  await p.start(
    program(
      `cmd-start = echo one; read line; echo "two $line"; echo three >&2; exec sleep ${p.forever}`,
    ),
  );
  const [fifo, out] = [`${p.dir}/in`, `${p.dir}/out`];
  Bun.spawnSync(["mkfifo", fifo]);
  const fds = [openSync(fifo, "r+"), openSync(out, "a"), openSync(out, "a")] as const;
  const client = Bun.spawn([`${BIN}/procmgr`, "web", "start"], {
    env: p.environment,
    stdio: [...fds],
  });
  expect(await client.exited).toBe(0);
  write(fifo, "words\n");
  await until(() => read(out) === "one\ntwo words\nthree\n", "all was written");
  for (const fd of fds) closeSync(fd);
});

scene(
  "where descriptors are refused, what is started has /dev/null",
  async (p) => {
    await p.start(
      program(`cmd-start = ls -l /proc/self/fd >${p.dir}/fds; exec sleep ${p.forever}`),
      [],
      WITHOUT_PTRACE,
    );
    expect(await p.run(["web", "start"], { wrapper: as(USER) })).toEqual({
      code: 0,
      out: "",
      err: "",
    });
    const pid = await p.sleeps();
    const links = Bun.spawnSync([
      "readlink",
      ...[0, 1, 2].map((n) => `/proc/${pid}/fd/${n}`),
    ]).stdout;
    expect(`${links}`).toBe("/dev/null\n".repeat(3));
  },
  have.setpriv,
);

scene(
  "what stands in the place of FIFOs is not read or written",
  async (p) => {
    const text = program(`cmd-signal = cat >${p.dir}/seen; echo text; exit 3`);
    await p.start(text, [], WITHOUT_PTRACE);
    const pid = (await sleeper(p, USER)).pid;
    for (const target of [p.conf, "/dev/zero", "nowhere"]) {
      const fill = (dir: string) => {
        for (const name of ["stdin", "stdout", "stderr"]) symlinkSync(target, `${dir}/${name}`);
      };
      const request = p.forge({ uid: USER, text: requestText(pid, "web", "signal"), fill });
      expect([target, await request.outcome()]).toEqual([target, "code=3\n"]);
      expect([read(`${p.dir}/seen`), read(p.conf)?.endsWith(text)]).toEqual(["", true]);
    }
  },
  have.setpriv,
);

/** A client on a terminal of its own, to which something is typed; all that it showed. */
async function onTerminal(
  p: Procmgr,
  args: string[],
  typed: string,
  wrapper: readonly string[] = [],
): Promise<{ shown: string }> {
  let shown = "";
  const terminal = new Bun.Terminal({
    cols: 80,
    rows: 24,
    data: (_, bytes) => {
      shown += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    },
  });
  const command = ["sh", "-c", '"$@"; echo "END $?"', "sh", ...wrapper, `${BIN}/procmgr`, ...args];
  const child = Bun.spawn(command, { env: p.environment, terminal, timeout: PATIENCE });
  terminal.write(typed);
  await until(() => /^END \d+$/m.test(shown), "the client ends on its terminal");
  await child.exited;
  terminal.close();
  return { shown };
}
