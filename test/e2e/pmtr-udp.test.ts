/** pmtr: reports and commands by UDP. */
import { expect } from "bun:test";
import { hostname } from "node:os";
import { job, type PmtrBox, receiver, STAYS, scenario } from "../lib/pmtr.ts";
import { lives } from "../lib/processes.ts";
import { until } from "../lib/until.ts";

/** A port that nobody else has at this moment. */
async function freePort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port } = socket;
  socket.close();
  return port;
}

/** Sends datagrams to pmtr until they have had their effect: one may be lost. */
async function send(port: number, text: string, effect: () => unknown): Promise<void> {
  const socket = await Bun.udpSocket({ socket: { error: () => {} } });
  let sent = 0;
  await until(() => {
    if (sent < performance.now() - 200) {
      try {
        socket.send(Buffer.from(text, "latin1"), port, "127.0.0.1");
      } catch {
        // refused: it does not listen yet
      }
      sent = performance.now();
    }
    return effect();
  }, `${text} has its effect`);
  socket.close();
}

const listening = (port: number) => `listen on udp://127.0.0.1:${port}\n`;

/** The UDP sockets of a process, by its descriptors and the kernel's table. */
function sockets(p: PmtrBox, pid: number): number {
  const table = Bun.spawnSync(["cat", "/proc/net/udp", "/proc/net/udp6"]).stdout.toString();
  const inodes = table.split("\n").map((l) => l.trim().split(/\s+/)[9]);
  const open = Bun.spawnSync(["ls", "-l", `/proc/${pid}/fd`], { env: p.environment });
  const own = [...open.stdout.toString().matchAll(/socket:\[(\d+)\]/g)].map((m) => m[1]);
  return own.filter((inode) => inodes.includes(inode)).length;
}

scenario("off by default: no socket is open", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  await p.runs("web");
  expect(sockets(p, pmtr.pid)).toBe(0);
});

scenario(
  "enable and disable, several names in one datagram, until the file is edited",
  async (p) => {
    const port = await freePort();
    const jobs = [
      job("web", STAYS),
      job('"a b"', STAYS),
      job("off", STAYS, "disable"),
      job("db", STAYS),
    ];
    p.edit(listening(port), ...jobs);
    const pmtr = await p.start();
    await pmtr.says(/^pmtr: warning: listening on udp:.*: whoever can send there can/);
    const [web, other, db] = [await p.runs("web"), await p.runs("a b"), await p.runs("db")];
    await send(port, 'disable web "a b"', () => !lives(web) && !lives(other));
    await send(port, "enable off", () => p.pid("off"));
    await send(port, "enable web\n", () => p.pid("web"));
    const enabled = await p.runs("web");
    const off = await p.runs("off");
    p.edit("# edited", listening(port), ...jobs);
    await p.runs("a b");
    await until(() => !lives(off), "what the file disables ends");
    expect([p.pid("web"), p.pid("db")]).toEqual([enabled, db]);
  },
);

scenario("what UDP has changed ends with pmtr; 0.0.0.0 is any address", async (p) => {
  const port = await freePort();
  p.edit(`listen on udp://0.0.0.0:${port}\n`, job("web", STAYS), job("off", STAYS, "disable"));
  const pmtr = await p.start();
  const web = await p.runs("web");
  await send(port, "disable web", () => !lives(web));
  await send(port, "enable off", () => p.pid("off"));
  const off = await p.runs("off");
  pmtr.signal("SIGKILL");
  await pmtr.exited().catch(() => {});
  await p.start();
  await p.runs("web");
  await until(() => !lives(off), "what the file disables ends");
});

scenario("malformed, oversized and unknown ones, and a flood, change nothing", async (p) => {
  const port = await freePort();
  p.edit(listening(port), job("web", STAYS), job("db", STAYS));
  const pmtr = await p.start();
  const [web, db] = [await p.runs("web"), await p.runs("db")];
  const sender = await Bun.udpSocket({ socket: { error: () => {} } });
  const shout = (text: string) => {
    try {
      sender.send(Buffer.from(text, "latin1"), port, "127.0.0.1");
    } catch {
      // refused: it does not listen
    }
  };
  const bad = [
    "",
    "disable",
    "disable nobody",
    "DISABLE web",
    "disable web\ndisable db",
    `disable web ${"x".repeat(2_000)}`,
    '"disable web',
    "\xff\0",
  ];
  for (const text of bad) shout(text);
  await until(() => {
    for (let i = 0; i < 50; i++) shout("nonsense");
    return /more than 100 datagrams in a second/.test(pmtr.messages);
  }, "the flood is told");
  sender.close();
  expect([p.pid("web"), p.pid("db")]).toEqual([web, db]);
  // It listens again afterwards.
  await send(port, "disable web", () => !lives(web));
  expect(p.pid("db")).toBe(db);
});

scenario("the report: a line for each job that is no once job", async (p) => {
  const { texts, socket } = await receiver();
  const head = (host: string) => `report to udp://${host}:${socket.port}\n`;
  const jobs = [
    job("web", STAYS),
    job("off", STAYS, "disable"),
    job("setup", "cmd /bin/true", "once"),
  ];
  p.edit(head("127.0.0.1"), ...jobs);
  await p.start();
  const web = await p.runs("web");
  const lines = new RegExp(
    `^report ${hostname()}\nweb e \\d+ ${web} /bin/sleep\noff d 0 0 /bin/sleep\n$`,
  );
  // The first one is sent at once, and so it is to another address; the next one in ten seconds.
  p.edit(head("localhost"), ...jobs);
  await until(() => texts.some((text) => lines.test(text)), "it is reported");
  socket.close();
});

scenario("an address that cannot be had is told, and jobs run", async (p) => {
  p.edit("listen on udp://192.0.2.1:9\nreport to udp://239.0.0.1:9@none0\n", job("web", STAYS));
  const pmtr = await p.start();
  await p.runs("web");
  await pmtr.says(/^pmtr: cannot listen on udp:\/\/192\.0\.2\.1:9: /);
  await pmtr.says(/^pmtr: cannot report to udp:\/\/239\.0\.0\.1:9: .*none0/);
});

scenario(
  "a multicast report leaves by the interface that is named, and tells its address",
  async (p) => {
    const { texts, socket } = await receiver("0.0.0.0");
    socket.addMembership("239.255.77.77", "127.0.0.1");
    p.edit(`report to udp://239.255.77.77:${socket.port}@lo\n`, job("web", STAYS));
    await p.start();
    const first = `report ${hostname()} 127.0.0.1\n`;
    await until(() => texts[0]?.startsWith(first), "it is reported");
    socket.close();
  },
);
