/** pmtr: edits of the file while jobs run. EDITS=N for that number of random ones, SEED=N repeats. */
import { expect } from "bun:test";
import { type Job, PLAIN_JOB } from "../../src/compat/pmtr/config.ts";
import { printConfig } from "../../src/compat/pmtr/printer.ts";
import { append, exists, place, read, remove, rename, write } from "../lib/files.ts";
import { job, type PmtrBox, STAYS, scenario } from "../lib/pmtr.ts";
import { lives } from "../lib/processes.ts";
import { until } from "../lib/until.ts";
import { chooseSeed, Random } from "../unit/random.ts";

scenario(
  "an added job is started, a deleted one ends, a changed one is another process",
  async (p) => {
    p.edit(job("stays", STAYS), job("changes", STAYS), job("goes", STAYS));
    await p.start();
    const [stays, changes, goes] = [
      await p.runs("stays"),
      await p.runs("changes"),
      await p.runs("goes"),
    ];
    p.edit(
      "# a comment",
      job("comes", STAYS),
      job("changes", "cmd /bin/sleep 3601"),
      job("stays", STAYS),
    );
    await p.runs("comes");
    const changed = await p.runs("changes", changes);
    await until(() => !lives(goes), "goes has ended");
    expect(lives(changes)).toBeFalse();
    await until(
      () => read(`/proc/${changed}/cmdline`) === "/bin/sleep\x003601\0",
      "it is the new one",
    );
    expect(p.pid("stays")).toBe(stays);
    await until(
      () => !exists(`${p.place}/run/goes`) && !exists(`${p.place}/jobs/goes`),
      "all of it goes",
    );
  },
);

scenario("a job that answers its stop with exit status 33 is started again", async (p) => {
  const script = p.script(
    "leaves",
    "trap 'exit 33' TERM; echo >ready; while :; do sleep 0.1; done",
  );
  p.edit(job("web", `cmd ${script}`, `dir ${p.box.dir}`));
  await p.start();
  const pid = await p.runs("web");
  await until(() => exists(`${p.box.dir}/ready`), "it traps TERM");
  p.edit(job("web", `cmd ${script}`, `dir ${p.box.dir}`, "nice 1"));
  await p.runs("web", pid);
});

scenario("comments, blanks and the order of options are no change", async (p) => {
  p.edit("job {\n  name web\n  cmd /bin/sleep 3600\n  once\n}\n");
  await p.start();
  const pid = await p.runs("web");
  p.edit('# new\njob\n{\nonce\n# x\n\tcmd "/bin/sleep"   3600\n\nname web\n}\n', job("db", STAYS));
  await p.runs("db");
  expect(p.pid("web")).toBe(pid);
});

const CHANGES: [string, string][] = [
  ["another dir", "dir /"],
  ["another file", "out /dev/null"],
  ["another depends", "depends {\n/etc/passwd\n}"],
  ["another bounce", "bounce every 1d"],
];
scenario("every option that says something else is a change", async (p) => {
  p.edit(job("web", STAYS));
  await p.start();
  let pid = await p.runs("web");
  for (const [, option] of CHANGES) {
    p.edit(job("web", STAYS, option));
    pid = await p.runs("web", pid);
  }
});

scenario("disable is like commenting the job out", async (p) => {
  p.edit(job("web", STAYS, "disable"), job("db", STAYS));
  await p.start();
  const db = await p.runs("db");
  expect(exists(`${p.place}/jobs/web`)).toBeFalse();
  p.edit(job("web", STAYS), job("db", STAYS));
  const web = await p.runs("web");
  p.edit(job("web", STAYS, "disable"), job("db", STAYS));
  await until(() => !lives(web), "it has ended");
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.runs("web", web);
  expect(p.pid("db")).toBe(db);
});

scenario(
  "a broken edit changes nothing, and all its errors are logged with their lines",
  async (p) => {
    p.edit(job("web", STAYS), job("db", STAYS));
    const pmtr = await p.start();
    const pids = [await p.runs("web"), await p.runs("db")];
    p.edit(job("web", "cmd sleep 1", "nice 99"), job("new", STAYS));
    const where = p.conf.replaceAll(".", "\\.");
    await pmtr.says(new RegExp(`^pmtr: ${where}:3: cmd: expected a program by its absolute path`));
    await pmtr.says(new RegExp(`^pmtr: ${where}:4: nice: expected`));
    await pmtr.says(/^pmtr: parse failed/);
    await p.settled();
    expect([p.pid("web"), p.pid("db"), p.pid("new")]).toEqual([...pids, null]);
    p.edit(job("web", STAYS), job("db", STAYS), job("new", STAYS));
    await p.runs("new");
    expect([p.pid("web"), p.pid("db")]).toEqual(pids);
  },
);

scenario(
  "an editor's rename dance, and moving the file away and back, change nothing",
  async (p) => {
    p.edit(job("web", STAYS));
    const pmtr = await p.start({ args: ["-vv"] });
    const pid = await p.runs("web");
    const text = read(p.conf) ?? "";
    rename(p.conf, `${p.conf}~`);
    await pmtr.says(/cannot read .*: No such file or directory; the jobs stay as they are$/);
    write(`${p.conf}.swp`, "job {\n");
    append(`${p.conf}~`, "# back\n");
    rename(`${p.conf}~`, p.conf);
    await pmtr.says(/^pmtr: parsed: /, 2);
    remove(`${p.conf}.swp`);
    remove(p.conf);
    // Else it may be read between its opening and what is written.
    await pmtr.says(/cannot read /, 2);
    write(p.conf, text);
    place(p.conf, `${text}${job("db", STAYS)}`);
    await p.runs("db");
    expect(p.pid("web")).toBe(pid);
    expect(pmtr.messages).not.toMatch(/web: (changed|ended)/);
  },
);

scenario("a half-written file changes nothing", async (p) => {
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.start();
  const pids = [await p.runs("web"), await p.runs("db")];
  // Truncated, and its permissions changed, while it is open: it is whole when it is closed.
  const script = `exec >'${p.conf}'; chmod 600 '${p.conf}'; touch '${p.box.dir}/half'
while [ ! -e '${p.box.dir}/go' ]; do sleep 0.1; done; cat '${p.box.dir}/new'`;
  write(`${p.box.dir}/new`, [job("web", STAYS), job("db", STAYS), job("new", STAYS)].join("\n"));
  const writer = Bun.spawn(["sh", "-c", script], { env: p.environment });
  await until(() => exists(`${p.box.dir}/half`), "half is written");
  await p.settled();
  expect([p.pid("web"), p.pid("db")]).toEqual(pids);
  write(`${p.box.dir}/go`, "");
  await writer.exited;
  await p.runs("new");
  expect([p.pid("web"), p.pid("db")]).toEqual(pids);
});

scenario("the file may be a link that is swapped", async (p) => {
  for (const [name, ...jobs] of [
    ["1", "web"],
    ["2", "web", "db"],
  ] as const) {
    write(`${p.box.dir}/${name}.conf`, jobs.map((j) => job(j, STAYS)).join("\n"));
  }
  Bun.spawnSync(["ln", "-s", "1.conf", p.conf]);
  await p.start();
  const pid = await p.runs("web");
  Bun.spawnSync(["ln", "-s", "2.conf", `${p.box.dir}/next`]);
  rename(`${p.box.dir}/next`, p.conf);
  await p.runs("db");
  append(`${p.box.dir}/2.conf`, job("mail", STAYS));
  await p.runs("mail");
  expect(p.pid("web")).toBe(pid);
});

scenario("HUP: the file is read again", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const pid = await p.runs("web");
  pmtr.signal("SIGHUP");
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.runs("db");
  expect(p.pid("web")).toBe(pid);
});

scenario("a job that is deleted and comes back at once is started again", async (p) => {
  p.edit(job("web", STAYS), job("db", STAYS));
  await p.start();
  const [web, db] = [await p.runs("web"), await p.runs("db")];
  p.edit(job("db", STAYS));
  await until(() => !lives(web), "it has ended");
  p.edit(job("db", STAYS), job("web", STAYS));
  const again = await p.runs("web", web);
  // Each time at another moment of the scanner.
  for (let n = 0; n < 20; n++) {
    p.edit(job("db", STAYS));
    await Bun.sleep(n);
    p.edit(job("db", STAYS), job("web", STAYS));
    await Bun.sleep(n);
    await p.settled();
    await p.runs("web");
  }
  expect(p.pid("db")).toBe(db);
  expect(again).not.toBe(web);
});

const EDITS = Number(process.env.EDITS ?? 200);
/** Unless a number was asked for, a slow machine makes fewer of them. */
const EDITS_MS = process.env.EDITS ? Number.POSITIVE_INFINITY : 90_000;
const JOBS = 50;
const seed = chooseSeed();

/** The processes of all jobs that ought to run, once it is so, and no other. */
async function settle(
  p: PmtrBox,
  jobs: readonly Job[],
  changed: ReadonlySet<string>,
  before: ReadonlyMap<string, number>,
) {
  const pids = new Map<string, number>();
  for (const { name, disable } of jobs) {
    if (disable) await p.ended(name);
    else pids.set(name, await p.runs(name, changed.has(name) ? (before.get(name) ?? null) : null));
  }
  return pids;
}

/** One random edit: the jobs after it, and the names of those that it concerns. */
function randomEdit(random: Random, jobs: readonly Job[], number: number): [Job[], Set<string>] {
  const at = random.below(jobs.length);
  const [old, rest] = [jobs[at] ?? PLAIN_JOB, jobs.filter((_, i) => i !== at)];
  const insert = (made: Job): Job[] => {
    const to = random.below(jobs.length);
    return [...rest.slice(0, to), made, ...rest.slice(to)];
  };
  const kind = random.below(4);
  if (kind === 0)
    return [insert({ ...old, cmd: ["/bin/sleep", String(4_000 + number)] }), new Set([old.name])];
  if (kind === 1) return [insert({ ...old, disable: !old.disable }), new Set([old.name])];
  if (kind === 2) return [insert(old), new Set()];
  const made = { ...PLAIN_JOB, name: `new ${number}`, cmd: ["/bin/sleep", "3600"] };
  return [insert(made), new Set([old.name, made.name])];
}

scenario(
  `${EDITS} random edits of ${JOBS} jobs: exactly the changed ones are other processes (SEED=${seed})`,
  async (p) => {
    const random = new Random(seed);
    const first = Array.from({ length: JOBS }, (_, i) => ({
      ...PLAIN_JOB,
      name: `job ${i}`,
      cmd: ["/bin/sleep", "3600"],
    }));
    let jobs: Job[] = first;
    p.edit(printConfig({ jobs, report: null, listen: null }));
    await p.start();
    let pids = await settle(p, jobs, new Set(), new Map());
    const end = performance.now() + EDITS_MS;
    for (let n = 0; n < EDITS && performance.now() < end; n++) {
      const [next, changed] = randomEdit(random, jobs, n);
      p.edit(printConfig({ jobs: next, report: null, listen: null }));
      for (const { name } of jobs) if (!next.some((j) => j.name === name)) await p.ended(name);
      const after = await settle(p, next, changed, pids);
      for (const [name, pid] of after) {
        if (!changed.has(name)) expect([n, name, pid]).toEqual([n, name, pids.get(name) ?? 0]);
      }
      [jobs, pids] = [next, after];
    }
  },
);
