#!/bin/sh
# Installs what the tests talk to: Debian packages, where this may be done (as root, with apt-get), and
# clients from npm, below .venv. Elsewhere it says what to install and exits with 1: tests of what is
# missing are then skipped, and fail where the variable CI is set.
set -u

PACKAGES="chromium haproxy nginx pgbouncer postgresql prometheus redis-server rabbitmq-server"
command -v npm >/dev/null || PACKAGES="$PACKAGES npm" # nodejs of others than Debian has it within
NODE=.venv/node

packages() {
	missing=""
	for package in $PACKAGES; do
		status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$status" = installed ] || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0

	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "Installing for the tests:$missing"
		export DEBIAN_FRONTEND=noninteractive
		# shellcheck disable=SC2086  # a list of words
		if apt-get update -qq && apt-get install -qq --no-install-recommends $missing >/dev/null; then
			return 0
		fi
		echo "That failed; the tests go on without." >&2
	fi
	echo "For all of the tests, install:$missing (names of Debian packages)." >&2
	return 1
}

clients() {
	cmp -s tests/node/package-lock.json "$NODE/installed.json" && return 0
	command -v npm >/dev/null || return 1
	mkdir -p "$NODE"
	cp tests/node/package.json tests/node/package-lock.json "$NODE"
	npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$NODE" &&
		cp tests/node/package-lock.json "$NODE/installed.json"
}

result=0
packages || result=1
clients || result=1
exit "$result"
