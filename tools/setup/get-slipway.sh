#!/bin/sh
# Installs a released `slipway`, after it has verified the checksum: get-slipway.sh [VERSION]
# It goes into ~/.local/bin, or into PREFIX/bin. SLIPWAY_RELEASES is where the releases are.
set -eu

fail() {
	echo "get-slipway: $*" >&2
	exit 1
}

target() {
	case "$(uname -s) $(uname -m)" in
	"Linux x86_64") echo x86_64-unknown-linux-gnu ;;
	"Linux aarch64") echo aarch64-unknown-linux-gnu ;;
	"Darwin arm64") echo aarch64-apple-darwin ;;
	*) fail "there is no release for $(uname -s) on $(uname -m): clone the repository, then \`make install\`" ;;
	esac
}

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -c 1-64
}

# Called on the last line, so that half of a script that was cut off does nothing.
main() {
	releases=${SLIPWAY_RELEASES:-https://github.com/slipway-dev/slipway/releases}
	target=$(target)
	archive=slipway-$target.tar.gz
	version=${1:-latest}
	case $version in
	latest) from=$releases/latest/download ;;
	*) from=$releases/download/v${version#v} ;;
	esac
	bin=${PREFIX:-$HOME/.local}/bin

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	for file in "$archive" "$archive.sha256"; do
		curl --fail --silent --show-error --location --proto-redir =https --retry 3 --output "$work/$file" "$from/$file" ||
			fail "$from/$file could not be downloaded"
	done
	wanted=$(cut -c 1-64 "$work/$archive.sha256")
	found=$(sha256 "$work/$archive")
	[ "$wanted" = "$found" ] || fail "$archive has the checksum $found, but $wanted is published: it was not installed"

	tar -xzf "$work/$archive" -C "$work" slipway
	mkdir -p "$bin"
	# Renamed in the same folder, so a running or an interrupted installation never leaves half a program.
	install -m 755 "$work/slipway" "$bin/.slipway.new"
	mv -f "$bin/.slipway.new" "$bin/slipway"
	echo "installed $("$bin/slipway" --version) as $bin/slipway"
	command -v slipway >/dev/null || echo "$bin is not on the PATH. Add it: export PATH=\"$bin:\$PATH\""
}

main "$@"
