"""Runs what a client of queues can do, one feature after the other, and prints a line of JSON for each: whether it worked, and what
the client saw of it, which has to be the same whatever serves the client."""

import json
import os
import re
import sys

NAME = os.environ.get("NAME", "")
SHORT = bool(os.environ.get("SHORT"))
GIVEN = re.compile(r"amq\.(gen|ctag)-?[A-Za-z0-9_-]+|ctag\d+\.[0-9a-f]+|_INBOX\.[A-Za-z0-9.]+")


class Saw:
    def __init__(self):
        self.lines = []

    def note(self, *values):
        self.lines.append(" ".join(str(v) for v in values))

    def same(self, what, got, want):
        if got != want:
            raise AssertionError(f"{what}: {got!r:.300}, want {want!r:.300}")
        self.note(what, got)


def run(features, only):
    for name, do in features.items():
        if only and name not in only:
            continue
        saw, said = Saw(), {"feature": name, "ok": True}
        try:
            do(saw)
        except Exception as e:  # whatever it is, it is the feature's
            said |= {"ok": False, "detail": f"{type(e).__name__}: {e}"}
        text = "\n".join(saw.lines).replace(NAME, "NAME")
        print(json.dumps(said | {"saw": GIVEN.sub("GIVEN", text)}), flush=True)
