#!/bin/sh
# Installs a released `slipway`, after it has verified the checksum, and if cosign is installed its signature: get-slipway.sh [VERSION]
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

download() {
	curl --fail --silent --show-error --location --proto-redir =https --retry 3 --output "$work/$1" "$from/$1" ||
		fail "$from/$1 could not be downloaded"
}

# Called on the last line, so that half of a script that was cut off does nothing.
main() {
	repository=https://github.com/slipway-dev/slipway
	releases=${SLIPWAY_RELEASES:-$repository/releases}
	# A mirror changes nothing about who has signed.
	signer=$repository/.github/workflows/release.yml@refs/tags/v
	target=$(target)
	archive=slipway-$target.tar.gz
	version=${1:-latest}
	case $version in
	latest)
		from=$releases/latest/download
		signer=--certificate-identity-regexp=^$(printf %s "$signer" | sed 's/\./\\./g')'[0-9][0-9A-Za-z.+-]*$'
		;;
	*)
		from=$releases/download/v${version#v}
		signer=--certificate-identity=$signer${version#v}
		;;
	esac
	bin=${PREFIX:-$HOME/.local}/bin

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	download "$archive"
	download "$archive.sha256"
	if command -v cosign >/dev/null; then
		download "$archive.sha256.sigstore.json"
		cosign verify-blob --bundle "$work/$archive.sha256.sigstore.json" "$signer" \
			--certificate-oidc-issuer=https://token.actions.githubusercontent.com "$work/$archive.sha256" >&2 ||
			fail "the signature of $archive.sha256 does not hold, or cosign is older than 3: it was not installed"
	fi
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
