#!/bin/sh
# install.sh install|uninstall: copy what make has built to $DESTDIR$BINDIR and
# $DESTDIR$MANPREFIX, and completions to $DESTDIR$SHAREDIR, or remove it from there.

set -eu
umask 022
cd "$(dirname "$0")/.."
bin=$DESTDIR$BINDIR
man=$DESTDIR$MANPREFIX
share=$DESTDIR${SHAREDIR:-${MANPREFIX%/man}}

# Each shell's completions, and what it wants them to be called.
completions() {
  "$1" svctl.bash "$share/bash-completion/completions/svctl"
  "$1" _svctl "$share/zsh/site-functions/_svctl"
  "$1" svctl.fish "$share/fish/vendor_completions.d/svctl.fish"
}

add() {
  mkdir -p "${2%/*}"
  cp "completions/$1" "$2"
  chmod 644 "$2"
}

drop() {
  rm -f "$2"
}

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
  completions add
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
  completions drop
}

"$1"
