# Everything a newcomer needs: `make demo` and `make test` set up what they use.
#
# PyTorch from PyPI brings CUDA, several GB.  On a machine without a GPU, give pip PyTorch's CPU index:
#     make demo TORCH="torch==2.13.0 --index-url <PyTorch's index of CPU wheels, see pytorch.org>"

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin
WORKERS ?= 3
MINUTES ?= 60
NEW_ENOUGH := -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'

# The packages that decide and do nothing: what `make coverage` measures.
PURE := core config pipeline.scheduling pipeline.retry_policy pipeline.active_job output.layout output.formats output.coverage \
  output.crosstalk output.transcript output.renderer recognition.hotwords operations.alerts.rules operations.alerts.health_checks

# Where `make install` puts things, below DESTDIR if that is given.
PREFIX  ?= /opt/transcribed
AT      := $(DESTDIR)$(PREFIX)
UNITS   := $(DESTDIR)/usr/local/lib/systemd/system
USERS   := $(DESTDIR)/usr/local/lib/sysusers.d/transcribed.conf
FOLDERS := $(DESTDIR)/usr/local/lib/tmpfiles.d/transcribed.conf
COMMAND := /usr/local/bin/transcribed
CONFIG  := /etc/transcribed/transcribed.toml

.PHONY: demo test coverage mutants test-slow test-systemd test-clients test-bare soak bench check model example install uninstall clean

demo: $(VENV)/.installed        ## transcribe the shipped recordings and compare the words
	$(BIN)/transcribed demo

# Other options of pytest in ARGS: make test ARGS="tests/unit -x".  Some tests wait: three workers suit two cores.
test: $(VENV)/.tested tools     ## the whole default suite, under 4 minutes on 2 quiet cores
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not slow and not gpu and not systemd and not clients and not alone" $(ARGS)
	$(BIN)/pytest -q -m "alone and not slow" $(ARGS) || [ $$? = 5 ]  # 5: there is none among those asked for

coverage: $(VENV)/.tested       ## how much of the packages that only decide is covered by their own unit tests
	$(BIN)/pytest -q -m "not slow" tests/unit $(PURE:%=--cov=transcribed.%) --cov-report=term:skip-covered

test-slow: $(VENV)/.tested tools ## longer runs: a thousand kills, a thousand files, hours of audio
	$(BIN)/pytest -m slow

# make mutants COUNT=20000 STATE=build/mutants.json: 40 a second; begun again, it goes on where it was stopped
mutants: $(VENV)/.tested tools  ## damaged recordings through the real, confined decoding processes
	$(BIN)/python -m tests.chaos.mutants --count $(or $(COUNT),1000) $(STATE:%=--state %)

test-systemd: $(VENV)/.tested   ## the service under a real systemd, in a container made by root (under 5 minutes)
	$(BIN)/pytest -m systemd -r fExX tests/systemd

test-clients: $(VENV)/.tested tools clients ## real upload programs against servers on the loopback, by root (about 22 minutes)
	$(BIN)/pytest -m clients -r fExX tests/clients $(ARGS)

# Another release of Debian, or options of pytest, in ARGS: make test-bare ARGS="trixie -- tests/unit/core"
test-bare: $(VENV)/.tested      ## `make demo` and `make test` on a bare Debian that root makes (about 10 minutes, 6 GB of disk)
	TORCH="$(TORCH)" $(BIN)/python -m tests.tools.bare_machine $(ARGS)

# Minutes in MINUTES, other options in ARGS: make soak MINUTES=15 ARGS="--plant memory"
soak: $(VENV)/.tested tools     ## an hour of mixed load: does memory, or anything else, grow with the files handled?
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --out build/soak.json $(ARGS)

# Names of parts, or other options, in ARGS: make bench ARGS="recognition"
bench: $(VENV)/.benched tools ffmpeg ## speed against FunASR and others (about 20 minutes, 4 GB of disk, 6 of memory)
	$(BIN)/python -m tests.benchmarks --out build/benchmarks.json $(ARGS)

check: $(VENV)/.developed       ## style, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

model: $(VENV)/.tested tools    ## make the demonstration models anew and print their figures (about half an hour)
	$(BIN)/python -m tests.tools.demo_model

example: $(VENV)/.installed     ## write config/transcribed.toml from the model of the configuration
	$(BIN)/transcribed example-config > config/transcribed.toml

# Again for an update.  With DESTDIR, for whoever makes a package, only files are placed: no users, no folders.
install:                        ## as root: the program, its units, users and folders on this machine
	@$(PYTHON) $(NEW_ENOUGH)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" = 0 ] || { echo "Installing needs root: sudo make install"; exit 1; }
	@rm -rf build/lib build/bdist.*  # of another version: it would be installed with this one
	umask 022; $(PYTHON) -m venv $(AT) || { echo "On Debian: apt-get install python3-venv"; exit 1; }
	umask 022; $(AT)/bin/pip install -q $(TORCH)
	umask 022; $(AT)/bin/pip install -q -c constraints.txt .
	@[ -z "$(DESTDIR)" ] || sed -i '1s|^#!$(DESTDIR)|#!|' $$(grep -lI '^#!$(DESTDIR)' $(AT)/bin/*)
	@install -d $(UNITS)/transcribed@.service.d $(DESTDIR)$(dir $(COMMAND))
	@for unit in transcribed.service transcribed@.service transcribed@.service.d/10-instance.conf; do \
	  sed 's|/opt/transcribed|$(PREFIX)|' systemd/$$unit > $(UNITS)/$$unit; chmod 644 $(UNITS)/$$unit; done
	@install -D -m 644 systemd/sysusers.conf $(USERS)
	@install -D -m 644 systemd/tmpfiles.conf $(FOLDERS)
	@install -D -m 644 -t $(AT)/share/transcribed README.md systemd/logrotate.conf config/transcribed.toml
	@install -D -m 644 -t $(AT)/share/transcribed/drop-ins systemd/drop-ins/*.conf
	@ln -sf $(PREFIX)/bin/transcribed $(DESTDIR)$(COMMAND)
	@[ -e $(DESTDIR)$(CONFIG) ] || install -D -m 644 config/transcribed.toml $(DESTDIR)$(CONFIG)
ifeq ($(DESTDIR),)
	systemd-sysusers $(USERS)
	systemd-tmpfiles --create $(FOLDERS)
	@[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "Installed.  Next: look at $(CONFIG); systemctl enable --now transcribed (after an update: restart)"
endif

uninstall:                      ## as root: take all of it away; configuration, ledger, models, transcripts and logs stay
ifeq ($(DESTDIR),)
	@[ ! -d /run/systemd/system ] || [ ! -e $(UNITS)/transcribed.service ] || { \
	  systemctl disable --quiet --now transcribed.service; \
	  systemctl stop 'transcribed@*.service'; systemctl disable --quiet transcribed@.service; }
endif
	@[ ! -e $(AT)/pyvenv.cfg ] || rm -rf $(AT)  # nothing but a virtual environment, whatever PREFIX says
	@rm -f $(DESTDIR)$(COMMAND) $(USERS) $(FOLDERS)
	@rm -rf $(addprefix $(UNITS)/transcribed,.service @.service @.service.d)
ifeq ($(DESTDIR),)
	@[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "Gone.  Kept: /etc/transcribed, /srv/transcribed, /var/{lib,cache,log}/transcribed, and the user who owns them."
endif

clean:
	rm -rf $(VENV) build

# pip alone, and torch first: a resolver that sees only `torch>=2.6` would take the newest, with CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) $(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	rm -rf $(VENV)/readers
	$(BIN)/pip install -q -c constraints.txt --no-deps --target $(VENV)/readers openai-whisper  # apart: FunASR imports it if it can
	touch $@

$(VENV)/.developed: $(VENV)/.tested
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.benched: $(VENV)/.tested
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	touch $@

# What the tests need of the system: a voice, a C compiler for a library that stands in for NVIDIA's, strace, a browser.
TOOLS := espeak-ng:espeak-ng cc:gcc strace:strace chromium:chromium

# Programs that upload, and the servers they upload to.  vsftpd and ProFTPD exclude each other, so one is unpacked.
CLIENTS := samba smbclient samba-vfs-modules openssh-server openssh-client rsync proftpd-core lftp curl wget aria2 rclone nginx-light \
  syncthing gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good ffmpeg openssl libwrap0
VSFTPD := build/vsftpd/usr/sbin/vsftpd

.PHONY: tools clients ffmpeg
tools:
	@lacking="$$(for tool in $(TOOLS); do command -v $${tool%:*} >/dev/null || echo $${tool#*:}; done)"; \
	[ -e /usr/include/stdio.h ] || lacking="$$lacking libc6-dev"; \
	[ -z "$$lacking" ] || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$lacking >/dev/null; } || \
	  { echo "The tests need, as root: apt-get install" $$lacking; exit 1; }

# A server that is installed is not started, unless the machine is: a policy refuses it meanwhile (invoke-rc.d(8)).
clients: $(VSFTPD)
	@lacking="$$(for package in $(CLIENTS); do dpkg -s $$package >/dev/null 2>&1 || echo $$package; done)"; \
	[ -z "$$lacking" ] || { [ "$$(id -u)" = 0 ] && apt-get update -qq && { [ -e /usr/sbin/policy-rc.d ] || { \
	  trap 'rm -f /usr/sbin/policy-rc.d' EXIT; printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; \
	  chmod +x /usr/sbin/policy-rc.d; }; } && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$lacking >/dev/null; } || \
	  { echo "The tests need, as root: apt-get install" $$lacking; exit 1; }

$(VSFTPD):
	@mkdir -p build/vsftpd
	@[ "$$(id -u)" != 0 ] || apt-get update -qq
	cd build/vsftpd && apt-get download -qq vsftpd && dpkg -x vsftpd_*.deb .

ffmpeg:                         ## the decoder of those we are compared with
	@command -v ffmpeg >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get install -y -qq ffmpeg >/dev/null; } || \
	  { echo "The benchmarks need FFmpeg's command line: apt-get install ffmpeg"; exit 1; }
