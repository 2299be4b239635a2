#!/bin/sh
# fuzz.sh DURATION: runs every fuzz target of the module for so long (60s, or a number of inputs as 1000x), one after the
# other: they use all cores.
set -eu
duration=$1
go=${GO:-go}
found=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# run TARGET DIR: `go test -fuzz` sometimes ends its own time with "context deadline exceeded" on a busy machine; a failing
# input is then not written, which tells that end from a failure.
run() {
	if $go test -run '^$' -fuzz "^$1\$" -fuzztime "$duration" "./$2" >"$out" 2>&1; then
		tail -n 2 "$out"
		return
	fi
	cat "$out"
	grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input written' "$out"
}

for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "== $(dirname "$file") $target"
		run "$target" "$(dirname "$file")"
	done
done
[ "$found" = 1 ] || { echo "no fuzz target found" >&2; exit 1; }
