#!/bin/sh
# demo.sh: run sysmgr in the foreground on examples/, with a private directory for its state and
# theirs.

cd "$(dirname "$0")/.." || exit 1

# Memory first: nothing in a run directory has to outlive a boot.
for parent in "${XDG_RUNTIME_DIR:-}" /dev/shm "${TMPDIR:-/tmp}"; do
  [ -n "$parent" ] && [ -d "$parent" ] && [ -w "$parent" ] && break
done
private=$(mktemp -d "$parent/sysmgr-demo.XXXXXX") || exit 1
rundir=$private/run
mkdir "$private/tmp" || exit 1

cat <<EOF
sysmgr keeps the services in examples/ running until you press ctrl-C.
Talk to it from a second terminal:

  export RUNDIR="$rundir" SYSDIR="$PWD/examples" PATH="$PWD/build/bin:\$PATH"
  svctl status
  svctl stop NAME
  svctl start NAME

The same by hand, for all that svctl does it does with files:

  touch $rundir/NAME/lock
  rm $rundir/NAME/lock

And see how soon a service is back:

  kill -9 \$(cat $rundir/NAME/pid)

EOF

# ctrl-C goes to sysmgr as well, and makes it stop everything in order; this shell has only to be
# there afterwards. A handler that does nothing, unlike an ignored signal, is not inherited.
trap : HUP INT QUIT TERM
PATH=$PWD/build/bin:$PATH TMPDIR=$private/tmp build/bin/sysmgr -d "$PWD/examples" -r "$rundir"
status=$?

# From 128 on a signal has killed sysmgr: its services run on, and here the next one finds them.
if [ "$status" -ge 128 ]; then
  echo "demo: to take over the services: build/bin/sysmgr -d $PWD/examples -r $rundir" >&2
else
  rm -rf "$private"
fi
exit "$status"
