#!/bin/sh
# Installs the Debian packages that the build, the tests and the demo need, or says exactly what to install.
# The list stands here and nowhere else. `setup.sh clients` adds what `make clients` needs,
# `setup.sh bench` what `make bench` does.
set -eu

packages="
gcc libc6-dev
postgresql postgresql-client
pgbouncer
python3-psycopg2 python3-sqlalchemy python3-django
python3-boto3
rabbitmq-server nats-server
python3-pika amqp-tools
strace
nodejs
curl
git make ca-certificates
"
# gcc, libc6-dev: PostgreSQL's own grammar is C code        postgresql: the real server, never one that already runs
# pgbouncer: what `make bench` compares with                 python3-psycopg2: a driver from another ecosystem
# python3-sqlalchemy, python3-django: two frameworks that read a database's models
# python3-boto3: a client of AWS APIs
# rabbitmq-server, nats-server: the real brokers, never those that already run; python3-pika, amqp-tools: clients of AMQP
# nodejs: the audit log's second verifier is not Go; any Node on the PATH will do for it (scripts/cloud.sh wants 20)
# curl: a client of HTTP, in the tests and the demo
# strace: failing system calls in the crash tests            git, make, ca-certificates: what a minimal image lacks

if [ "${1:-}" = bench ]; then
	packages="$packages
nginx-light wrk"
	# nginx: a server of documents and a proxy to compare with; wrk: a client that costs little
fi
if [ "${1:-}" = clients ]; then
	packages="$packages
default-jdk-headless libpostgresql-jdbc-java libcommons-dbcp2-java
python3-psycopg python3-psycopg-pool
python3-sqlalchemy alembic
awscli
"
	# awscli: for make clients-aws; a JDK runs JDBC's program from its source; dbcp2: a pool that validates with a query; alembic: an ORM's migrations
	if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
		echo "Node and npm are missing: install Node 20 or newer (https://nodejs.org), and put it on the PATH." >&2
		exit 1
	fi
fi

# has PACKAGE: whether it is installed. postgresql is there where any version's server is.
has() {
	case $1 in
	postgresql-client) command -v psql >/dev/null 2>&1; return ;;
	curl) command -v curl >/dev/null 2>&1; return ;;
	nodejs) command -v node >/dev/null 2>&1; return ;;
	default-jdk-headless) command -v javac >/dev/null 2>&1; return ;;
	esac
	if [ "$1" = postgresql ]; then
		ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
		return
	fi
	dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

if ! command -v go >/dev/null 2>&1; then
	echo "Go is missing: install Go 1.26 or newer (https://go.dev/doc/install), and put it on the PATH." >&2
	exit 1
fi
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "This is not Debian. Install the equivalents of:" $packages >&2
	echo "The tests look for the server's programs in /usr/lib/postgresql/*/bin." >&2
	exit 1
fi

missing=
for p in $packages; do
	has "$p" || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "These Debian packages are missing. Install them, then try again:" >&2
	echo "    sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	echo "apt-get failed: its output is above." >&2
	exit 1
fi
