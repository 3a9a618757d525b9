#!/bin/sh
# One node, its programs and a pod, where the machine can; otherwise says why not and ends well: smoke.sh PACKAGE...
set -eu
skip() {
	echo "test-cluster-smoke: skipped: $1"
	exit 0
}
[ "$(id -u)" = 0 ] || skip "needs root, to make namespaces and control groups (sudo -E make test-cluster-smoke)"
command -v go >/dev/null || skip "needs Go, to build Kubernetes"
command -v apt-get >/dev/null || skip "needs Debian's packages: $*"
unshare --mount --net --pid --fork true 2>/dev/null || skip "namespaces may not be made here (a container without --privileged?)"
[ -w /sys/fs/cgroup ] || skip "control groups are read only here (a container without --privileged?)"
"$(dirname "$0")/packages.sh" "$@"
# Kubernetes from source, the first time; what is done by then is there for the next one
seconds="${SMOKE_BUILD_SECONDS:-1800}"
timeout "$seconds" cargo run --quiet --release --locked -p slipway-testbed -- build --node || {
	status=$?
	[ $status = 124 ] && skip "Kubernetes was not built within $seconds s; \`make cluster-build\` goes on"
	exit $status
}
cargo test --release --locked -p slipway-testbed --features cluster --test cluster -- node:: recovery::
