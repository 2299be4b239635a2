#!/bin/sh
# Builds what e2e/queues needs beside this module, pinned by go.sum and package-lock.json: stock clients of AMQP 0-9-1 and NATS, and
# a nats-server newer than Debian's, into bin/queues and e2e/queues/stock/node_modules. What is current stays.
set -eu
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null 2>&1 || [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -lt 20 ]; then
	echo "Node 20 or newer with npm is missing: install it (https://nodejs.org), and put it on the PATH." >&2
	exit 1
fi
mkdir -p bin/queues
exec 9>bin/queues/lock # tests of several packages may come here at once
flock 9
${GO:-go} build -C e2e/queues/stock -o "$PWD/bin/queues/" github.com/nats-io/nats-server/v2 github.com/nats-io/natscli/nats ./goamqp ./gonats
cd e2e/queues/stock
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
