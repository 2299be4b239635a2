"""Does with the nats command what the columns of NATS's matrix in e2e/queues say, and prints a line of JSON for each. It knows nothing
of what serves it: its environment says where that is, and its first argument where the command is."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

import feature
from feature import NAME, SHORT

COMMAND = sys.argv[1]
AT = urllib.parse.urlsplit(os.environ["URL"])
HOME = tempfile.TemporaryDirectory()
ENV = os.environ | {"NATS_URL": f"tls://{AT.hostname}:{AT.port}", "NATS_USER": AT.username, "NATS_PASSWORD": urllib.parse.unquote(AT.password),
                    "NATS_CA": os.environ["CA_FILE"], "XDG_CONFIG_HOME": HOME.name, "HOME": HOME.name, "NO_COLOR": "1", "NATS_TIMEOUT": "20s"}


def nats(*args, stdin=None, ok=True):
    p = subprocess.run([COMMAND, *args], input=stdin, stdin=None if stdin else subprocess.DEVNULL, capture_output=True, env=ENV, timeout=60)
    if ok and p.returncode:
        raise AssertionError(f"{args}: status {p.returncode}: {p.stderr.decode()[-400:]}")
    return p.stdout.decode() if ok else p.stderr.decode()


class Listening:
    """A command that waits for messages; it runs once it says that it listens."""

    def __init__(self, *args, says):
        self.p = subprocess.Popen([COMMAND, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV, text=True)
        for line in self.p.stdout:
            if says in line:
                break

    def rest(self):
        return self.p.communicate(timeout=60)[0]

    def end(self):
        self.p.kill()
        self.p.communicate()


def timeless(text):
    """Drops what is another each time: times, and how long something took."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "TIME", text)
    return re.sub(r"\b[\d.]+(ns|µs|ms|s)\b", "SOME", text)


def publish(saw):
    s = f"{NAME}.publish"
    sub = Listening("sub", s, "--count=3", says="Subscribing on")
    nats("pub", s, "one {{Count}}", "--count=2")
    nats("pub", s, "--force-stdin", stdin=b"three")
    saw.note(timeless(sub.rest()))


def requests(saw):
    s = f"{NAME}.ask"
    server = Listening("reply", s, "re: {{.Request}}", "--count=2", says="Listening on")
    saw.note(nats("request", s, "one", "--raw"))
    saw.note(nats("request", s, "two", "--raw"))
    server.end()


def no_responders(saw):
    saw.note(timeless(nats("request", f"{NAME}.nobody", "x", ok=False)))


def headers(saw):
    s = f"{NAME}.headers"
    sub = Listening("sub", s, "--count=1", says="Subscribing on")
    nats("pub", s, "body", "-H", "One:1", "-H", "Many:a", "-H", "Many:b")
    saw.note(sorted(timeless(sub.rest()).splitlines()))  # the command prints headers in no order


def stream(s):
    nats("stream", "add", f"{NAME}-{s}", f"--subjects={NAME}.{s}.>", "--defaults")
    return f"{NAME}-{s}"


def streams(saw):
    s = stream("streams")
    nats("pub", "-J", f"{NAME}.streams.x", "m {{Count}}", "--count=3")
    info = json.loads(nats("stream", "info", s, "--json"))
    saw.note(info["state"]["messages"], info["config"]["subjects"])
    saw.note(timeless(nats("stream", "get", s, "2")))
    nats("stream", "rmm", s, "2", "--force")
    nats("stream", "purge", s, "--force")
    saw.same("listed", s in nats("stream", "ls", "--names").split(), True)
    nats("stream", "rm", s, "--force")
    saw.note(timeless(nats("stream", "info", s, ok=False)))


def publish_acks(saw):
    stream("published")
    saw.note(timeless(nats("pub", "-J", f"{NAME}.published.a", "x")))


def pull(saw):
    s = stream("pulled")
    nats("pub", "-J", f"{NAME}.pulled.x", "m {{Count}}", "--count=3")
    nats("consumer", "add", s, "puller", "--pull", "--defaults")
    for _ in range(3):
        saw.note(nats("consumer", "next", s, "puller", "--raw"))
    info = json.loads(nats("consumer", "info", s, "puller", "--json"))
    saw.note(info["ack_floor"]["stream_seq"], info["num_pending"], info["num_ack_pending"])
    nats("consumer", "rm", s, "puller", "--force")


def key_value(saw):
    b = f"{NAME}-kv"
    nats("kv", "add", b, "--history=3")
    saw.note(nats("kv", "put", b, "a.b", "one"))
    saw.note(nats("kv", "get", b, "a.b", "--raw"))
    saw.note(nats("kv", "update", b, "a.b", "two", "1"))
    saw.note(nats("kv", "update", b, "a.b", "three", "1", ok=False))
    saw.note(nats("kv", "ls", b))
    nats("kv", "del", b, "a.b", "--force")
    saw.note(nats("kv", "get", b, "a.b", ok=False))
    nats("kv", "del", b, "--force")


def objects(saw):
    b = f"{NAME}-objects"
    nats("object", "add", b)
    body = hashlib.sha256(b"seed").digest() * ((1 if SHORT else 8) << 15)
    path, back = os.path.join(HOME.name, "file"), os.path.join(HOME.name, "back")
    with open(path, "wb") as f:
        f.write(body)
    nats("object", "put", b, path, "--name=large", "--no-progress", "--force")
    nats("object", "get", b, "large", f"--output={back}", "--no-progress", "--force")
    with open(back, "rb") as f:
        saw.same("the same", f.read() == body, True)
    nats("object", "rm", b, "large", "--force")
    nats("object", "rm", b, "--force")


def max_payload(saw):
    saw.note(timeless(nats("pub", f"{NAME}.large", "--force-stdin", stdin=b"x" * ((1 << 20) + 1), ok=False)))


def many(saw):
    out = nats("bench", "pub", f"{NAME}.many", "--msgs=20000", "--no-progress")
    saw.same("published", "20,000" in out or "msgs/sec" in out, True)


def failures(saw):
    saw.note(timeless(nats("stream", "info", f"{NAME}-never", ok=False)))


feature.run({"publish": publish, "requests": requests, "no responders": no_responders, "headers": headers, "max payload": max_payload,
             "many": many, "streams": streams, "publish acks": publish_acks, "pull": pull, "key-value": key_value, "objects": objects,
             "errors": failures}, sys.argv[2:])
