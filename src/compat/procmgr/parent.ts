/** Who has put us into the background, and waits for our word. */
import { writeAll } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import { WORKS } from "../background.ts";

export class Parent {
  private readonly fd = libc.duplicateFrom(2, 3);

  /** What we have to complain of. */
  tell(text: string): void {
    writeAll(this.fd, text);
  }

  release(): void {
    writeAll(this.fd, WORKS);
    libc.close(this.fd);
  }
}
