#!/bin/sh
# Tests and the test cluster find this repository's files by the folder that they were compiled in. Clones share what cargo compiles, and cargo
# takes a newer program of another clone for this one's: so when another one compiled last, everything here is made to look new.
set -eu
mark="$CARGO_TARGET_DIR/compiled-in"
[ "$(cat "$mark" 2>/dev/null)" = "$PWD" ] && exit 0
find apps crates tests tools -name '*.rs' -exec touch {} +
mkdir -p "$CARGO_TARGET_DIR"
pwd >"$mark"
