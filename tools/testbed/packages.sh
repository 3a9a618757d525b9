#!/bin/sh
# Installs the Debian packages that a test cluster needs and this machine lacks: packages.sh PACKAGE...
set -eu
missing=""
for package in "$@"; do
	dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing Debian packages; as root: apt-get install$missing" >&2
	exit 1
fi
echo "==> installing$missing"
# Debian starts containerd when it is installed; a cluster of the testbed has its own.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; }
apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
