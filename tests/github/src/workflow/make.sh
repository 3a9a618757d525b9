#!/bin/sh
# What the targets of the Makefile that workflows call leave behind on a runner. Nothing is compiled: the command line is the one under test,
# SLIPWAY stands for its path, and on a runner of another architecture it builds images for that one. Everything else is the real make's.
set -eu

case "$RUNNER_OS $RUNNER_ARCH" in
"Linux X64") target=x86_64-unknown-linux-gnu platform=linux/amd64 ;;
"Linux ARM64") target=aarch64-unknown-linux-gnu platform=linux/arm64 ;;
"macOS ARM64") target=aarch64-apple-darwin platform= ;;
esac

program() {
	mkdir -p "${1%/*}"
	cat >"$1"
	chmod 755 "$1"
}

command_line() {
	program "$1" <<-END
		#!/bin/sh
		case "\$1 \${2-}" in "image push") set -- "\$@" --platform $platform ;; esac
		exec 'SLIPWAY' "\$@"
	END
}

# Programs that were compiled elsewhere, which a target puts into images, are run once.
with_programs() {
	programs= diagnostics=
	for argument; do
		case "$argument" in
		BIN=*) programs=${argument#BIN=} ;;
		DIAGNOSTICS=*) diagnostics=${argument#DIAGNOSTICS=} ;;
		esac
	done
	for program in "$programs"/*; do
		"$program" && continue
		[ -z "$diagnostics" ] || { mkdir -p "$diagnostics" && echo "$program does not run" >"$diagnostics/said"; }
		exit 1
	done
}

case "$*" in
install) command_line "$HOME/.cargo/bin/slipway" ;;
"package TAG=$GITHUB_REF_NAME TO=package")
	command_line "$RUNNER_TEMP/made/slipway"
	# which machine this is, as the script asks it
	program "$RUNNER_TEMP/made/rustc" <<-END
		#!/bin/sh
		echo "host: $target"
	END
	PATH=$RUNNER_TEMP/made:$PATH python3 tools/setup/package.py "$RUNNER_TEMP/made/slipway" package "$GITHUB_REF_NAME"
	;;
build)
	echo "make $*"
	release=$HOME/.cache/slipway/target/release
	for name in slipway slipway-launch slipway-manager slipway-monitor slipway-server slipway-trainer deps/slipway-0123; do
		printf '#!/bin/sh\necho "runs %s"\n' "$name" | program "$release/$name"
	done
	echo "slipway: src/main.rs" >"$release/slipway.d"
	;;
"e2e CLUSTER=kind "* | "test-images BIN="*)
	echo "make $*"
	with_programs "$@"
	;;
"setup PYTHON="* | "cluster-build CLUSTER=kind" | "test-cluster CLUSTER=kind" | test-gitops | test-faults | test-confined | advisories)
	echo "make $*"
	;;
*)
	# a fork's Makefile does what it would do on a runner, so that tests notice it
	PATH=${PATH#*"${0%/*}":}
	exec make "$@"
	;;
esac
