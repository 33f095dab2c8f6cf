/** become.ts PATH LOCK: becomes that program, as an upgrade does; says what is left if that fails. */
import { readFileSync } from "node:fs";
import { becomeSuccessor } from "../../src/environment.ts";

const [path = "", lock = "0"] = process.argv.slice(2);
const code = becomeSuccessor(path, { lock: Number(lock), nofile: 77, command: null, umask: 0o27 });
console.log(`${code}\n${readFileSync("/proc/self/status")}`);
console.log(readFileSync(`/proc/self/fdinfo/${lock}`, "latin1"));
