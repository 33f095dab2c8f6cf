#!/bin/sh
# bun.sh [ARG...]: run the bun that package.json pins, with these arguments.
#
# One on PATH will do if it is that very version. Else npm has put one below node_modules: more
# than one when it cannot tell glibc from musl, and then only one of them runs here.

top=$(dirname "$0")/..
pinned=$(sed -n 's/.*"bun": *"\([^"]*\)".*/\1/p' "$top/package.json")

# The last is where the package's own install script moves it, for who runs install scripts.
for bun in "$(command -v bun)" "$top"/node_modules/@oven/bun-*/bin/bun "$top/node_modules/bun/bin/bun.exe"
do
  [ -x "$bun" ] && [ "$("$bun" --version 2>/dev/null)" = "$pinned" ] && exec "$bun" "$@"
done

echo "bun.sh: cannot find bun $pinned that runs on this machine: try make" >&2
exit 127
