/**
 * inotify(7) through one descriptor. An event means "look again", never "this happened".
 *
 * Raw inotify costs nothing per watch here; fs.watch would need a thread and 4 KiB each.
 */
import * as libc from "./libc.ts";
import { IN } from "./libc.ts";

/**
 * Called with the mask of the event, the name within the watched directory ("" for itself), and
 * the subject that was given with the watch: so thousands of watches can share one handler.
 */
export type Handler = (mask: number, name: string, subject: string) => void;

/** One interest in one path; two of them may share an inode, and so a kernel watch. */
export type Watch = { readonly id: number; readonly handler: Handler; readonly subject: string };

export class Watcher {
  private readonly watches = new Map<number, readonly Watch[]>();
  private ended = false;

  private constructor(
    private readonly fd: number,
    private readonly onOverflow: () => void,
    private readonly onBatch: () => void,
  ) {}

  /**
   * Minus the errno when no instance is to be had. onBatch runs after the events of one read,
   * onOverflow when the kernel has dropped some, or can tell no more.
   */
  static open(onOverflow: () => void, onBatch: () => void): Watcher | number {
    const fd = libc.inotifyInit();
    if (fd < 0) return fd;
    const watcher = new Watcher(fd, onOverflow, onBatch);
    void watcher.readForEver();
    return watcher;
  }

  /** Minus the errno when that cannot be watched (ENOSPC: the user's limit of watches). */
  add(path: string, mask: number, handler: Handler, subject = ""): Watch | number {
    if (this.ended) return -libc.E.BADF;
    const id = libc.inotifyAdd(this.fd, path, mask | IN.MASK_ADD);
    if (id < 0) return id;
    const watch = { id, handler, subject };
    const others = this.watches.get(id);
    this.watches.set(id, others ? [...others, watch] : [watch]);
    return watch;
  }

  remove(watch: Watch): void {
    const left = (this.watches.get(watch.id) ?? []).filter((w) => w !== watch);
    if (left.length > 0) this.watches.set(watch.id, left);
    else if (this.watches.delete(watch.id) && !this.ended) libc.inotifyRemove(this.fd, watch.id);
  }

  /** It can tell no more; the descriptor is closed, and its number another's, perhaps. */
  get hasEnded(): boolean {
    return this.ended;
  }

  /** Events wait to be read: what files tell now may be ahead of them. */
  get isBehind(): boolean {
    return !this.ended && libc.waitAny([{ fd: this.fd }], 0)[0] === true;
  }

  private async readForEver(): Promise<void> {
    try {
      const reader = Bun.file(this.fd).stream().getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.dispatch(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        this.onBatch();
      }
    } catch {
      // the end of the stream and its failure are answered alike: look for yourself
    }
    this.ended = true;
    this.onOverflow();
  }

  /** struct inotify_event: wd, mask, cookie, len (32 bits each), then len bytes of name. */
  private dispatch(bytes: Buffer): void {
    for (let at = 0; at + 16 <= bytes.length; ) {
      const id = bytes.readInt32LE(at);
      const mask = bytes.readUInt32LE(at + 4);
      const length = bytes.readUInt32LE(at + 12);
      const name = bytes.toString("latin1", at + 16, at + 16 + length).replace(/\0+$/, "");
      at += 16 + length;
      if (mask & IN.Q_OVERFLOW) this.onOverflow();
      for (const w of this.watches.get(id) ?? []) w.handler(mask, name, w.subject);
      if (mask & IN.IGNORED) this.watches.delete(id);
    }
  }
}
