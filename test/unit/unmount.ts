/** unmount.ts DIR: what SysDir says while file systems come and go on DIR; in a mount namespace. */
import { rmSync, writeFileSync } from "node:fs";
import { SysDir } from "../../src/sysdir.ts";

const dir = process.argv[2] ?? "";
const sysdir = new SysDir(dir);
const said: Record<string, unknown> = {};

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

function mount(...files: string[]): void {
  run("mount", "-t", "tmpfs", "-o", "mode=755", "none", dir);
  for (const file of files) writeFileSync(`${dir}/${file}`, "");
}

writeFileSync(`${dir}/under the mount`, "");
said.before = sysdir.names();
mount("web");
said.mounted = sysdir.names();
run("umount", dir);
said.unmounted = sysdir.names();
rmSync(`${dir}/under the mount`);
said.empty = sysdir.names();
mount("db");
said.mountedAgain = sysdir.names();
run("umount", dir);
said.unmountedEmpty = sysdir.names();
said.stillUnmounted = sysdir.names();
mount("gone");
sysdir.names();
rmSync(`${dir}/gone`);
said.mountedOnceMore = sysdir.names();
console.log(JSON.stringify(said));
