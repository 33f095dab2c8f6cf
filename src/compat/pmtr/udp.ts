/**
 * UDP, for those who ask for it: a report every ten seconds, and commands from anybody who can
 * send a datagram. Nothing here is authenticated.
 */

import * as libc from "../../libc.ts";
import type { Config, UdpAddress } from "./config.ts";
import { type Command, formatReport, parseCommand, type Reported } from "./datagrams.ts";
import type { Messages } from "./messages.ts";

const REPORT_INTERVAL = 10_000;

/** A socket that could not be had is tried again after this. */
const RETRY = 10_000;

/** More datagrams than this in a second are a flood: the rest of the second is not listened to. */
const FLOOD = 100;
/** Seconds without one after which another flood is told of. */
const FLOOD_QUIET = 60;

/** The sockets that a configuration asks for: none, unless it does. */
export class Udp {
  private listener: Listener | null = null;
  private reporter: Reporter | null = null;

  constructor(
    private readonly messages: Messages,
    private readonly onCommand: (command: Command) => void,
    private readonly jobs: () => readonly Reported[],
  ) {}

  /** Opens and closes what another configuration asks for; what is as it was stays open. */
  follow({ listen, report }: Config): void {
    if (!sameAddress(listen, this.listener?.address)) {
      this.listener?.close();
      this.listener = listen && new Listener(listen, this.messages, this.onCommand);
      this.listener?.open();
    }
    if (!sameAddress(report, this.reporter?.address)) {
      this.reporter?.close();
      this.reporter = report && new Reporter(report, this.messages, this.jobs);
      this.reporter?.open();
    }
  }

  close(): void {
    this.listener?.close();
    this.reporter?.close();
  }
}

function sameAddress(a: UdpAddress | null, b: UdpAddress | null | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b ?? null);
}

/** Does something that needs a socket, again and again until it is closed. */
abstract class Channel {
  protected socket: Bun.udp.Socket<"buffer"> | null = null;
  private timer: Timer | null = null;
  private complaint = "";
  private closed = false;

  constructor(
    readonly address: UdpAddress,
    private readonly what: string,
    protected readonly messages: Messages,
  ) {}

  protected abstract make(): Promise<Bun.udp.Socket<"buffer">>;

  open(): void {
    this.make().then(
      (socket) => {
        if (this.closed) return socket.close();
        this.socket = socket;
        this.complaint = "";
        this.opened();
      },
      (error) => {
        const text = `cannot ${this.what} udp://${this.address.host}:${this.address.port}: ${error}`;
        if (text !== this.complaint) this.messages.write("error", text);
        this.complaint = text;
        this.later(RETRY);
      },
    );
  }

  /** There is a socket now. */
  protected opened(): void {}

  protected later(wait: number): void {
    if (this.closed) return;
    this.timer = setTimeout(() => this.open(), wait);
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    this.socket?.close();
  }
}

class Listener extends Channel {
  private received = 0;
  private second = 0;
  /** The second in which there were too many. */
  private flooded = Number.NEGATIVE_INFINITY;

  constructor(
    address: UdpAddress,
    messages: Messages,
    private readonly onCommand: (command: Command) => void,
  ) {
    super(address, "listen on", messages);
    const where = `udp://${address.host}:${address.port}`;
    const warning = `listening on ${where}: whoever can send there can enable and disable jobs`;
    messages.write("error", `warning: ${warning}`);
  }

  // Some of its errors are thrown at once: async, so that all are met alike.
  protected async make() {
    return await Bun.udpSocket({
      hostname: this.address.host,
      port: this.address.port,
      socket: { data: (_, bytes) => this.take(bytes), error: () => {} },
    });
  }

  private take(bytes: Uint8Array): void {
    if (this.isFlooded()) return;
    const command = parseCommand(bytes);
    if (command) this.onCommand(command);
  }

  /** In a flood the socket is closed for a while: what comes then costs us nothing. */
  private isFlooded(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.second) this.received = 0;
    this.second = second;
    if (++this.received <= FLOOD) return false;
    if (this.socket) this.pause(second);
    return true;
  }

  private pause(second: number): void {
    const text = `more than ${FLOOD} datagrams in a second: not listening to them`;
    // A flood that goes on is one event.
    if (second > this.flooded + FLOOD_QUIET) this.messages.write("info", text);
    this.flooded = second;
    this.socket?.close();
    this.socket = null;
    this.later(1_000);
  }
}

class Reporter extends Channel {
  private interval: Timer | null = null;
  private interfaceAddress: string | null = null;
  private target = "";

  constructor(
    address: UdpAddress,
    messages: Messages,
    private readonly jobs: () => readonly Reported[],
  ) {
    super(address, "report to", messages);
  }

  protected async make() {
    const { host, device } = this.address;
    this.interfaceAddress = device === null ? null : await addressOf(device);
    this.target = await resolve(host);
    const socket = await Bun.udpSocket({ socket: { error: () => {} } });
    if (this.interfaceAddress !== null) socket.setMulticastInterface(this.interfaceAddress);
    return socket;
  }

  protected override opened(): void {
    this.interval = setInterval(() => this.send(), REPORT_INTERVAL);
    this.send();
  }

  override close(): void {
    if (this.interval) clearInterval(this.interval);
    super.close();
  }

  private send(): void {
    const text = formatReport(hostName(), this.interfaceAddress, this.jobs());
    try {
      this.socket?.send(Buffer.from(text, "latin1"), this.address.port, this.target);
    } catch (error) {
      this.messages.write("debug", `a report was not sent: ${error}`);
    }
  }
}

async function resolve(host: string): Promise<string> {
  if (/^[\d.]+$/.test(host)) return host;
  const [found] = await Bun.dns.lookup(host, { family: 4 });
  if (!found) throw new Error("no such host");
  return found.address;
}

/** The IPv4 address of a network interface. */
async function addressOf(device: string): Promise<string> {
  // Only here: it would add to the start of every program.
  const { networkInterfaces } = await import("node:os");
  const found = networkInterfaces()[device]?.find(({ family }) => family === "IPv4");
  if (!found) throw new Error(`no address on ${device}`);
  return found.address;
}

function hostName(): string {
  const text = libc.readFile("/proc/sys/kernel/hostname");
  return typeof text === "string" ? text.trim() : "localhost";
}
