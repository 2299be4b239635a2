#!/bin/sh
# fuzz.sh DURATION: runs every fuzz target of the module for so long, one after the other: they use all cores.
set -eu
duration=$1
go=${GO:-go}
found=0
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "== $(dirname "$file") $target"
		$go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$(dirname "$file")"
	done
done
[ "$found" = 1 ] || { echo "no fuzz target found" >&2; exit 1; }
