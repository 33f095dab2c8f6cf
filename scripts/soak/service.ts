// The services of a soak: a few lines of sh each, over one common script.

/** How a service behaves, and how many of a hundred do. */
export const KINDS = {
  steady: 25,
  crash: 20,
  die: 8,
  flap: 10,
  hang: 8,
  fork: 12,
  stubborn: 10,
  deaf: 7,
} as const;
export type Kind = keyof typeof KINDS;

/** What services do to themselves, by the word that they write of it; for the table. */
export const OWN_FAULTS: Readonly<Record<string, string>> = {
  exit: "services that exit by themselves",
  die: "services that kill themselves with -9",
  hang: "services that stop themselves (SIGSTOP)",
  fork: "orphans left behind by services",
  slow: "TERM answered only after seconds",
  deaf: "TERM ignored",
};

/**
 * Every line is `NAME WORD PID TIME`, TIME in seconds since boot; `start` goes on with the start
 * time in ticks and the parent. Signals are trapped before `start` is written: a life that is
 * known ends by a signal without a word only if that is KILL. Nothing here forks but sleeps.
 */
export const COMMON = `
note() { read -r now _ </proc/uptime; echo "$name $1 $$ $now\${2:+ $2}" >>"$SYSMGR_SOAK/lives"; }
identify() {
  stat=
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null
  set -- \${stat##*") "}
  state=$1 parent=$2 ticks=\${20}
}
random() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); r=$((seed / 65536 % $1)); }
nap() {
  d=$(($1 % 1000 + 1000))
  sleep "$(($1 / 1000)).\${d#1}" &
  child=$!
  wait "$child"
  if [ $? -gt 128 ]; then kill "$child"; fi
  child=
}
last() { if [ -n "$child" ]; then kill "$child"; fi; exit "$1"; }
ask() {
  case $kind in
    deaf) note deaf ;;
    stubborn) note slow; sleep 2; note term; last 0 ;;
    *) note term; last 0 ;;
  esac
}
child=
trap ask TERM INT
for s in HUP ALRM USR1 USR2; do trap "note $s" $s; done

before= beforeTicks= count=0
{ read -r before beforeTicks count <"$SYSMGR_SOAK/last/$name"; } 2>/dev/null
if [ -n "$before" ]; then
  identify "$before"
  case $state in
    '' | Z | X) ;;
    *) if [ "$ticks" = "$beforeTicks" ]; then note overlap "$before"; fi ;;
  esac
fi
count=$((count + 1))
seed=$((seed + count * 7919))
identify $$
echo "$$ $ticks $count" >"$SYSMGR_SOAK/last/$name"
note start "$ticks $parent"

case $kind in
  crash) random 9000; nap $((r + 1100)); random 100; note exit $r; last $r ;;
  die) random 9000; nap $((r + 1100)); note die; kill -KILL $$ ;;
  flap) random 300; nap $r; random 3; note exit $r; last $r ;;
  hang) random 3000; nap $r; note hang; kill -STOP $$ ;;
  fork)
    random 5; i=$((r + 2))
    while [ $((i -= 1)) -gt 0 ]; do
      note fork
      (sleep 1 & sleep 2 & exec sleep 0.2) &
      nap 700
    done
    random 2
    if [ $r = 0 ]; then note exit 1; last 1; fi ;;
esac
while :; do nap 20000; done
`;

/** The script of one service. */
export function script(name: string, kind: Kind, seed: number, root: string): string {
  return `#!/bin/sh\nname=${name} kind=${kind} seed=${seed}\n. ${root}/common\n`;
}
