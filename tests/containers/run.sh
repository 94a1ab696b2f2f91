#!/bin/sh
# Builds the image of deploy/, starts compose.yaml with each broker, and checks both: see check.py.
#
# With the Docker engine that answers here, if one does. Without one, as root on Debian 12, with Debian's, in
# namespaces of its own: its network, mounts and processes end with it. No registry of images is asked
# then. In their place are stand-ins: Debian's Python and servers, with the users and folders of the
# real ones (Dockerfile). So what is checked is what deploy/ says, not what is in the real images.
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=$HERE/../../.venv/bin/python
PACKAGES="debootstrap docker.io iproute2"
BASE=python:3.11-slim-bookworm

main() {
	if docker info >/dev/null 2>&1; then
		check
		return
	fi
	[ "$(id -u)" = 0 ] || stop "No Docker engine answers, and only root can start one."
	"$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
		stop "The stand-in for $BASE takes its packages from .venv: make that with Python 3.11."
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086  # a list of words
	apt-get install -qq --no-install-recommends $PACKAGES >/dev/null

	folder=$(mktemp -d -t deployd-containers.XXXXXX)
	trap 'clean "$folder"' EXIT
	trap 'exit 1' INT TERM
	unshare --mount --pid --fork --mount-proc --kill-child "$HERE/run.sh" alone "$folder"
}

stop() {
	echo "$1" >&2
	exit 1
}

clean() {
	rm -rf --one-file-system "$1"
	# An engine that was killed leaves the empty groups of its containers.
	find /sys/fs/cgroup -depth -type d -path "*/$(basename "$1")*" -exec rmdir {} + 2>/dev/null || true
}

check() {
	cd "$HERE"
	timeout 1200 "$PYTHON" -m pytest -v -s -p no:cacheprovider check.py
}

# What `main` does in namespaces of its own.
alone() {
	cd "$1"
	trap 'exit 1' INT TERM
	make_python >log 2>&1 && make_servers >>log 2>&1 || stop "$(tail -n 20 log)"

	export DOCKER_HOST="unix://$1/socket" DOCKER_CONFIG="$1/config"
	mkdir -p config/cli-plugins
	cp servers/usr/libexec/docker/cli-plugins/docker-compose config/cli-plugins
	# shellcheck disable=SC2016  # is expanded there
	unshare --net sh -c 'ip link set lo up; exec dockerd "$@"' engine --host "$DOCKER_HOST" \
		--data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" \
		--cgroup-parent "$(basename "$1")" >>log 2>&1 &
	engine=$!
	timeout 60 sh -c 'until docker info; do sleep 0.5; done' >/dev/null 2>&1 || stop "$(tail -n 20 log)"

	make_images >>log 2>&1 || stop "$(tail -n 20 log)"
	# Raising the limit takes a capability that not every root has.
	prlimit --nofile=100000:100000 true 2>/dev/null ||
		export COMPOSE_FILE="compose.yaml:$HERE/few-files.yaml"
	nsenter --target "$engine" --net "$HERE/run.sh" check
}

# A build cannot reach an index from here, so pip finds there what it would have downloaded.
make_python() {
	timeout 600 debootstrap --variant=minbase --include=python3-pip,python3-venv bookworm python
	lock=$HERE/../../requirements.lock
	timeout 600 "$PYTHON" -m pip download -qq --require-hashes --requirement "$lock" --dest python/opt/wheelhouse
	# For a Python that is older than 3.11.3, as Debian 12 has it.
	timeout 60 "$PYTHON" -m pip download -qq --no-deps --dest python/opt/wheelhouse \
		"$(sed -n 's/^\(async-timeout==[^ ]*\).*/\1/p' "$lock")"
	printf '[global]\nno-index = true\nfind-links = /opt/wheelhouse\n' >python/etc/pip.conf
	ln -s /usr/bin/python3 python/usr/local/bin/python
}

# Of Debian 13, where their versions are close to those that compose.yaml names.
make_servers() {
	timeout 600 debootstrap --variant=minbase trixie servers
	printf '#!/bin/sh\nexit 101\n' >servers/usr/sbin/policy-rc.d
	chmod +x servers/usr/sbin/policy-rc.d
	mkdir servers/etc/postgresql-common
	echo "create_main_cluster = false" >servers/etc/postgresql-common/createcluster.conf
	timeout 600 chroot servers apt-get install -qq --no-install-recommends \
		busybox docker-compose haproxy nats-server postgresql rabbitmq-server redis-server
	ln -s busybox servers/usr/bin/wget
}

make_images() {
	tar -C python -c . | docker import - "$BASE"
	tar -C servers -c . | docker import - servers
	for image in haproxy:3.0-alpine nats:2.11-alpine postgres:17-alpine rabbitmq:4.1-alpine redis:7.4-alpine; do
		docker build --target "${image%%:*}" --tag "$image" "$HERE"
	done
}

"${@:-main}"
