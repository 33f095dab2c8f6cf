# Needs node, npm and make; all else is installed below node_modules, nothing outside this tree.
# Plain POSIX make.
.POSIX:

PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANPREFIX = $(PREFIX)/share/man
# Completions go where bash, zsh and fish look for them below here.
SHAREDIR = $(PREFIX)/share
DESTDIR =
NPM = npm
BUN = scripts/bun.sh
# For test, bench, soak and reliability: make test ARGS="--repeat 3 svctl"
ARGS =

.PHONY: all always demo test lint bench soak reliability install uninstall clean dist

all: build/bin/sysmgr

# One flat target for a whole source tree: find knows whether any of it is newer, and by the
# directories that a file has gone.
build/bin/sysmgr: node_modules/.installed always
	@if [ ! -e $@ ] || \
	    [ -n "$$(find src config.ts package.json package-lock.json scripts/build.ts -newer $@)" ]; \
	then $(BUN) scripts/build.ts; fi

always:

# npm ci takes exactly what the lock file names and checks every hash. No package may run a
# script of its own here: none of ours needs one.
node_modules/.installed: package-lock.json
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

demo: all
	@scripts/demo.sh

test: all
	@$(BUN) scripts/test.ts $(ARGS)

lint: node_modules/.installed
	@$(BUN) scripts/test.ts lint/

bench: all
	@$(BUN) scripts/bench.ts $(ARGS)
	@$(BUN) scripts/bench/loggers.ts
	@$(BUN) scripts/bench/chain.ts

soak: all
	@$(BUN) scripts/soak.ts $(ARGS)

reliability: all
	@$(BUN) scripts/reliability.ts $(ARGS)

dist: node_modules/.installed
	@$(BUN) scripts/dist.ts

install: all
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' MANPREFIX='$(MANPREFIX)' \
	    SHAREDIR='$(SHAREDIR)' scripts/install.sh install

uninstall:
	@DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' MANPREFIX='$(MANPREFIX)' \
	    SHAREDIR='$(SHAREDIR)' scripts/install.sh uninstall

clean:
	rm -rf build
