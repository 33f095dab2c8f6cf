#!/bin/sh
# install.sh install|uninstall: copy what make has built to $DESTDIR$BINDIR and
# $DESTDIR$MANPREFIX, or remove it from there.

set -eu
umask 022
cd "$(dirname "$0")/.."
bin=$DESTDIR$BINDIR
man=$DESTDIR$MANPREFIX

install() {
  mkdir -p "$bin"
  # By rename: a running sysmgr cannot be written to, and must never be seen half written.
  cp build/bin/sysmgr "$bin/.sysmgr.new"
  chmod 755 "$bin/.sysmgr.new"
  mv -f "$bin/.sysmgr.new" "$bin/sysmgr"
  for link in build/bin/*; do
    [ -L "$link" ] && ln -sf sysmgr "$bin/${link##*/}"
  done
  for page in man/*.[1-8]; do
    mkdir -p "$man/man${page##*.}"
    cp "$page" "$man/man${page##*.}/"
    chmod 644 "$man/man${page##*.}/${page##*/}"
  done
}

uninstall() {
  # The links that lead to sysmgr are ours, whatever version made them; others' svc or sv stay.
  for link in "$bin"/*; do
    if [ -L "$link" ] && [ "$(readlink "$link")" = sysmgr ]; then rm -f "$link"; fi
  done
  rm -f "$bin/sysmgr"
  for page in man/*.[1-8]; do
    rm -f "$man/man${page##*.}/${page##*/}"
  done
}

"$1"
