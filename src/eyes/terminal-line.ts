/** The last line of a terminal, rewritten in place. */
import { getenv, writeAll } from "../bytes.ts";
import * as libc from "../libc.ts";
import { plainText, utf8 } from "./eye.ts";
import { fit } from "./table.ts";
import { sizeOf } from "./terminal.ts";

const ERASE = "\r\x1b[K";

export class TerminalLine {
  private shown = "";

  constructor(private readonly fd: number) {}

  /** Shows these bytes, as far as there is room, in place of what stood there; "" is nothing. */
  draw(bytes: string): void {
    if (!this.isOurs()) return;
    // In the last column some terminals begin a new line.
    const line = fit(plainText(bytes), sizeOf(this.fd).columns - 1);
    if (line === this.shown) return;
    this.shown = line;
    writeAll(this.fd, ERASE + utf8(line));
  }

  /** A terminal that knows how, and we are in its foreground: no service is there. */
  private isOurs(): boolean {
    return getenv("TERM") !== "dumb" && libc.foreground(this.fd) === libc.processGroup();
  }
}
