#!/bin/sh
# Builds what e2e/cloud needs beside this module, pinned by go.sum and package-lock.json: servers of AWS APIs that others wrote
# and a client of Go into bin/cloud, servers and a client of Node into e2e/cloud/stock/node_modules. What is current stays.
set -eu
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null 2>&1 || [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -lt 20 ]; then
	echo "Node 20 or newer with npm is missing: install it (https://nodejs.org), and put it on the PATH." >&2
	exit 1
fi
mkdir -p bin/cloud
exec 9>bin/cloud/lock # tests of several packages may come here at once
flock 9
${GO:-go} build -C e2e/cloud/stock -o "$PWD/bin/cloud/" github.com/versity/versitygw/cmd/versitygw ./goaws ./gosdk
cd e2e/cloud/stock
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
