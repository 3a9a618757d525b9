#!/bin/sh
# Installs the command line, and the programs that it starts in libexec beside it: install.sh FROM PREFIX
set -eu
from=$1
# Not every shell expands the ~ of `make install PREFIX=~/.local`. If it arrives here, it must not become a folder of that name.
case $2 in
"~" | "~/"*) prefix=$HOME${2#"~"} ;;
*) prefix=$2 ;;
esac
mkdir -p "$prefix/bin" "$prefix/libexec/slipway"
prefix=$(cd "$prefix" && pwd)
install -m 755 "$from/slipway-trainer" "$from/slipway-launch" "$from/slipway-server" "$from/slipway-manager" "$from/slipway-monitor" "$prefix/libexec/slipway/"
install -m 755 "$from/slipway" "$prefix/bin/"
echo "==> installed $prefix/bin/slipway"
found=$(command -v slipway || true)
if [ -z "$found" ]; then
	echo "    $prefix/bin is not on the PATH. Add it: export PATH=\"$prefix/bin:\$PATH\""
elif [ "$found" != "$prefix/bin/slipway" ]; then
	echo "    but \`slipway\` runs $found, which is earlier on the PATH"
fi
