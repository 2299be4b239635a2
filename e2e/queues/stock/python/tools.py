"""Does with the commands of amqp-tools what the columns of AMQP's matrix in e2e/queues say, and prints a line of JSON for each. It
knows nothing of what serves it: its environment says where that is."""

import hashlib
import os
import subprocess
import sys

import feature
from feature import NAME, SHORT

# the commands compare certificates with names, and not with addresses
URL = os.environ["URL"].replace("@127.0.0.1:", "@localhost:")
LOGIN = [f"--url={URL}", f"--cacert={os.environ['CA_FILE']}"]


def run(command, *args, stdin=b"", ok=True):
    p = subprocess.run([f"amqp-{command}", *LOGIN, *args], input=stdin, capture_output=True, timeout=60)
    if ok and p.returncode:
        raise AssertionError(f"{command} {args}: status {p.returncode}: {p.stderr.decode()}")
    return p


def declare(s):
    q = f"{NAME}.{s}"
    run("declare-queue", "-d", "-q", q)
    return q


def get(saw):
    q = declare("get")
    run("publish", "-r", q, "-p", "-b", "one")
    saw.note(run("get", "-q", q).stdout)
    saw.note(run("get", "-q", q, ok=False).returncode)
    saw.note(run("delete-queue", "-q", q).stdout)


def prefetch(saw):
    q = declare("prefetch")
    run("publish", "-r", q, "-l", stdin=b"a\nb\nc\nd\n")
    saw.note(run("consume", "-q", q, "-c", "3", "-p", "2", "cat").stdout)
    saw.note(run("get", "-q", q).stdout)
    saw.note(run("delete-queue", "-q", q).stdout)


def queues(saw):
    saw.same("named by the server", run("declare-queue", "-q", "").stdout.startswith(b"amq.gen-"), True)
    q = declare("queues")
    saw.note(run("delete-queue", "-q", q).stdout)


def properties(saw):
    q = declare("properties")
    run("publish", "-r", q, "-C", "text/plain", "-E", "identity", "-H", "a: b", "-t", q, "-b", "with a head")
    saw.note(run("get", "-q", q).stdout)
    run("delete-queue", "-q", q)


def large(saw):
    q = declare("large")
    body = hashlib.sha256(b"seed").digest() * ((1 if SHORT else 16) << 15)
    run("publish", "-r", q, stdin=body)
    saw.same("the same", run("get", "-q", q).stdout == body, True)
    run("delete-queue", "-q", q)


def failures(saw):
    p = run("get", "-q", f"{NAME}.never", ok=False)
    saw.note(p.returncode, p.stderr)
    p = run("declare-queue", "-q", "amq.mine", ok=False)
    saw.note(p.returncode, p.stderr)


feature.run({"get": get, "prefetch": prefetch, "queues": queues, "properties": properties, "large": large, "errors": failures}, sys.argv[1:])
