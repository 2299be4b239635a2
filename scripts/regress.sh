#!/bin/sh
# Fetches the source of the PostgreSQL that is installed, as Debian's source package, and prints where its regression suite
# lies. All of it goes to build/regress: nothing of it belongs in the repository. It changes no list and no source of the
# system's own apt.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
cache=$here/build/regress

fail() {
	echo "make regress: $1" >&2
	exit 1
}

for tool in apt-get apt-cache dpkg-query tar; do
	command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing: the suite is fetched as a Debian source package."
done
server=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -1)
[ -n "$server" ] || fail "PostgreSQL's server is missing: run scripts/setup.sh first."
major=$(echo "$server" | cut -d/ -f5)
version=$(dpkg-query -W -f='${Version}' "postgresql-$major" 2>/dev/null) || fail "postgresql-$major is not a Debian package here."
upstream=${version%%-*}
suite=$cache/postgresql-$upstream/src/test/regress
if [ -f "$suite/parallel_schedule" ]; then
	echo "$suite"
	exit 0
fi

mkdir -p "$cache/lists/partial" "$cache/cache/archives/partial"
. /etc/os-release
key=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$key" ] || fail "$key is missing: install debian-archive-keyring."
for s in "debian $VERSION_CODENAME" "debian $VERSION_CODENAME-updates" "debian-security $VERSION_CODENAME-security"; do
	echo "deb-src [signed-by=$key] http://deb.debian.org/$s main"
done >"$cache/sources.list"
cd "$cache"
set -- -q -o "Dir::Etc::sourcelist=$cache/sources.list" -o Dir::Etc::sourceparts=/dev/null \
	-o "Dir::State::lists=$cache/lists" -o "Dir::Cache=$cache/cache" -o APT::Sandbox::User=
apt-get "$@" update >"$cache/log" 2>&1 || { cat "$cache/log" >&2; fail "the list of source packages cannot be fetched from deb.debian.org: its output is above."; }
# The source of the very version that is installed, else any of the same major version that can be had.
others=$(apt-cache "$@" showsrc "postgresql-$major" 2>/dev/null | sed -n 's/^Version: //p' | sort -V -r)
for v in $version $others; do
	if apt-get "$@" source --download-only "postgresql-$major=$v" >"$cache/log" 2>&1; then
		upstream=${v%%-*}
		tar xjf "$cache/postgresql-${major}_$upstream.orig.tar.bz2" "postgresql-$upstream/src/test/regress" ||
			fail "the source of postgresql-$major $v cannot be unpacked (is bzip2 installed?)"
		echo "$cache/postgresql-$upstream/src/test/regress"
		exit 0
	fi
done
cat "$cache/log" >&2
fail "no source of postgresql-$major ($version, nor any of: $(echo $others)) can be fetched: apt-get's output is above."
