/**
 * A service that writes numbered lines, one by one: `count STATE TOTAL`. Each line is `LIFE NUMBER`.
 * STATE has a line for each life, `BEGUN ACCEPTED`, each of 18 bytes: what was accepted right
 * before a kill may not have been written down.
 */
import { openSync, readFileSync, writeSync } from "node:fs";

const [state = "", total = "0"] = process.argv.slice(2);
const lives = readFileSync(state, "latin1").match(/[^\n]+/g) ?? [];
const begun = Number(lives.at(-1)?.split(" ")[1] ?? 0);

const fd = openSync(state, "r+");
const word = (n: number) => String(n).padStart(8, "0");
const tell = (accepted: number) =>
  writeSync(fd, `${word(begun)} ${word(accepted)}\n`, lives.length * 18);

tell(begun);
for (let number = begun + 1; number <= Number(total); number++) {
  writeSync(1, `${lives.length} ${number}\n`);
  tell(number);
}
