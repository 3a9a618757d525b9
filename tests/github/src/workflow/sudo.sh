#!/bin/sh
# What workflows do as root, without root's rights. Anything else fails.
case "$*" in
"--preserve-env env "*)
	shift
	exec "$@"
	;;
"rm --recursive --force /usr/local/lib/android") ;; # makes space on a runner of GitHub
*)
	echo "sudo $* is not known here" >&2
	exit 2
	;;
esac
