"""Does with Pika what the columns of AMQP's matrix in e2e/queues say, and prints a line of JSON for each. It knows nothing of what
serves it: its environment says where that is."""

import datetime
import decimal
import hashlib
import os
import ssl
import sys
import time

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

import feature
from feature import NAME, SHORT

PATIENCE = 60


def dial():
    p = pika.URLParameters(os.environ["URL"])
    context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
    p.ssl_options = pika.SSLOptions(context, "localhost")
    p.heartbeat = 10
    return pika.BlockingConnection(p)


class Run:
    """One feature's connection and channel."""

    def __init__(self, saw):
        self.saw = saw
        self.conn = dial()
        self.ch = self.conn.channel()
        self.got = []

    def name(self, s):
        return f"{NAME}.{s}"

    def queue(self, s, **args):
        q = self.ch.queue_declare(self.name(s), arguments=args or None).method.queue
        self.ch.queue_purge(q)
        return q

    def put(self, exchange, key, *bodies, **props):
        for b in bodies:
            self.ch.basic_publish(exchange, key, b.encode(), pika.BasicProperties(**props))

    def count(self, q):
        return self.ch.queue_declare(q, passive=True).method.message_count

    def holds(self, what, q, want):
        """The broker's counts overtake what it was sent before."""
        end = time.monotonic() + PATIENCE
        while self.count(q) != want and time.monotonic() < end:
            pass
        self.saw.same(what, self.count(q), want)

    def consume(self, q, **more):
        return self.ch.basic_consume(q, lambda ch, method, props, body: self.got.append((method, props, body)), **more)

    def take(self, n):
        end = time.monotonic() + PATIENCE
        while len(self.got) < n:
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {n} deliveries")
            self.conn.process_data_events(time_limit=1)
        out, self.got = self.got[:n], self.got[n:]
        return out

    def refused(self, what, call, *args, **kw):
        try:
            call(*args, **kw)
        except AMQPError as e:
            self.saw.note(what, repr(e))
            return
        raise AssertionError(f"{what} was not refused")


def connect(r):
    p = r.conn._impl.server_properties
    r.saw.note(p["product"], sorted(p["capabilities"].items()))
    tuned = r.conn._impl.params
    r.saw.note(tuned.channel_max, tuned.frame_max, tuned.heartbeat)
    r.ch.close()


def confirms(r):
    q = r.queue("confirms")
    r.ch.confirm_delivery()
    for i in range(50):
        r.put("", q, str(i))
    r.holds("waiting", q, 50)


def returns(r):
    r.ch.confirm_delivery()
    try:
        r.ch.basic_publish("", r.name("nobody"), b"back", pika.BasicProperties(message_id="7", headers={"a": "b"}), mandatory=True)
    except UnroutableError as e:
        for m in e.messages:
            r.saw.note(m.method, m.properties, m.body)
        return
    raise AssertionError("nothing was returned")


def prefetch(r):
    q = r.queue("prefetch")
    r.ch.basic_qos(prefetch_count=5)
    r.put("", q, *[str(i) for i in range(20)])
    r.consume(q)
    for n in range(4):
        got = r.take(5)
        r.saw.same("in order", [int(body) for _, _, body in got], list(range(n * 5, n * 5 + 5)))
        r.count(q)
        r.saw.same("no sixth", len(r.got), 0)
        r.ch.basic_ack(got[-1][0].delivery_tag, multiple=True)
    r.holds("waiting", q, 0)


def acks(r):
    q = r.queue("acks")
    r.put("", q, "a", "b", "c", "d")
    r.consume(q)
    tags = [m.delivery_tag for m, _, _ in r.take(4)]
    r.ch.basic_ack(tags[0])
    r.ch.basic_nack(tags[1], requeue=True)
    r.ch.basic_reject(tags[2], requeue=True)
    r.ch.basic_nack(tags[3], requeue=False)
    for m, _, body in r.take(2):
        r.saw.note(body, m.redelivered, m.delivery_tag)
    r.ch.basic_recover(requeue=True)
    for m, _, body in r.take(2):
        r.saw.note(body, m.redelivered, m.delivery_tag)
        r.ch.basic_reject(m.delivery_tag, requeue=False)
    r.ch.close()
    r.ch = r.conn.channel()
    r.holds("waiting", q, 0)


def get(r):
    q = r.queue("get")
    r.put("", q, "a", "b")
    r.holds("waiting", q, 2)
    for _ in range(3):
        m, props, body = r.ch.basic_get(q)
        r.saw.note(m, props, body)
        if m:
            r.ch.basic_ack(m.delivery_tag)
    r.put("", q, "c")
    r.saw.note(r.ch.basic_get(q, auto_ack=True)[2])


def queues(r):
    own = r.ch.queue_declare("", exclusive=True, auto_delete=True).method.queue
    r.saw.same("named by the server", own.startswith("amq.gen-"), True)
    r.put("", own, "a", "b")
    r.holds("waiting", own, 2)
    other = dial()
    r.refused("exclusive", other.channel().queue_declare, own, passive=True)
    other.close()
    r.saw.same("purged", r.ch.queue_purge(own).method.message_count, 2)
    q = r.queue("queues", **{"x-max-length": 2, "x-overflow": "drop-head", "x-message-ttl": 60000})
    r.put("", q, "a", "b", "c")
    r.holds("at most", q, 2)
    r.consume(q)
    r.take(2)
    r.saw.note(r.ch.queue_declare(q, passive=True).method)
    r.saw.note(r.ch.queue_delete(q).method)
    r.refused("none of the name", r.ch.queue_declare, r.name("never"), passive=True)


def exchanges(r):
    x, y, h = r.name("x"), r.name("y"), r.name("h")
    r.ch.exchange_declare(x, "topic", arguments={"alternate-exchange": y})
    r.ch.exchange_declare(y, "fanout")
    r.ch.exchange_declare(h, "headers")
    r.ch.exchange_declare(h, "headers", passive=True)
    q, z = r.queue("q"), r.queue("z")
    r.ch.queue_bind(q, x, "orders.*.new")
    r.ch.queue_bind(z, y)
    r.ch.exchange_bind(h, x, "deep.#")
    r.ch.queue_bind(q, h, "", arguments={"x-match": "all", "kind": "refund"})
    r.put(x, "orders.eu.new", "a")
    r.put(x, "orders.eu.old", "to the alternate")
    r.put(x, "deep.er", "by header", headers={"kind": "refund"})
    r.holds("bound", q, 2)
    r.holds("alternate", z, 1)
    r.ch.queue_unbind(q, x, "orders.*.new")
    r.ch.exchange_unbind(h, x, "deep.#")
    r.put(x, "orders.eu.new", "to the alternate")
    r.holds("alternate", z, 2)
    r.holds("unbound", q, 2)
    for e in x, y, h:
        r.ch.exchange_delete(e)
    r.refused("none of the name", r.ch.exchange_declare, x, "topic", passive=True)


def reply_to(r):
    q = r.queue("rpc")
    server = Run(r.saw)
    server.consume(q, auto_ack=True)
    r.consume("amq.rabbitmq.reply-to", auto_ack=True)
    r.put("", q, "ping", reply_to="amq.rabbitmq.reply-to", correlation_id="1")
    _, props, _ = server.take(1)[0]
    r.saw.same("a name to answer to", props.reply_to.startswith("amq.rabbitmq.reply-to."), True)
    server.put("", props.reply_to, "pong", correlation_id=props.correlation_id)
    server.conn.process_data_events(0)
    _, props, body = r.take(1)[0]
    r.saw.note(body, props.correlation_id)
    server.conn.close()


def transactions(r):
    q = r.queue("tx")
    r.ch.tx_select()
    r.put("", q, "never")
    r.ch.tx_rollback()
    r.holds("rolled back", q, 0)
    r.put("", q, "a", "b")
    r.holds("not yet", q, 0)
    r.ch.tx_commit()
    r.holds("committed", q, 2)
    m, _, _ = r.ch.basic_get(q)
    r.ch.basic_ack(m.delivery_tag)
    r.ch.tx_rollback()
    r.ch.basic_ack(m.delivery_tag)
    r.ch.tx_commit()
    r.holds("taken", q, 1)


def properties(r):
    q = r.queue("properties")
    at = datetime.datetime(2023, 11, 14, 22, 13, 20)
    r.put("", q, '{"x": 1}', content_type="application/json", content_encoding="identity", delivery_mode=2, priority=3, correlation_id="c", reply_to=q,
          expiration="60000", message_id="m", timestamp=1700000000, type="t", app_id="a",
          headers={"bool": True, "int": -70000, "long": -(1 << 40), "big": 1 << 60, "decimal": decimal.Decimal("3.14"), "text": "snow ☃",
                   "bytes": b"\x00\x01\xff", "time": at, "none": None, "list": [1, "two", {"three": None}], "table": {"deep": {"er": True}}})
    _, props, body = r.ch.basic_get(q, auto_ack=True)
    r.saw.note(body, vars(props))
    r.ch.basic_publish("", q, b"")
    r.holds("waiting", q, 1)
    _, props, body = r.ch.basic_get(q, auto_ack=True)
    r.saw.note(body, vars(props))


def large(r):
    q = r.queue("large")
    r.ch.confirm_delivery()
    body = hashlib.sha256(b"seed").digest() * ((8 if SHORT else 64) << 15)
    r.ch.basic_publish("", q, body)
    r.consume(q)
    m, _, got = r.take(1)[0]
    r.saw.same("the same", hashlib.sha256(got).hexdigest(), hashlib.sha256(body).hexdigest())
    r.ch.basic_ack(m.delivery_tag)
    r.ch.queue_delete(q)


def channels(r):
    q = r.queue("channels")
    for _ in range(1000):
        r.conn.channel().basic_publish("", q, b"x")
    r.holds("waiting", q, 1000)


def redelivery(r):
    q = r.queue("redelivery")
    r.put("", q, "a", "b", "c")
    r.consume(q)
    (a, _, _), _ = r.take(2)
    r.ch.basic_ack(a.delivery_tag)
    r.count(q)
    r.conn._impl._transport.abort()  # a cut: nothing is said
    r.conn, r.got = dial(), []
    r.ch = r.conn.channel()
    r.consume(q)
    for m, _, body in r.take(2):
        r.saw.note(body)
        if body == b"b":
            r.saw.same("marked", m.redelivered, True)
        r.ch.basic_ack(m.delivery_tag)
    r.holds("waiting", q, 0)


def cancel(r):
    q, gone = r.queue("cancel"), []
    r.ch.add_on_cancel_callback(gone.append)
    r.consume(q, consumer_tag="mine")
    r.conn.channel().queue_delete(q)
    end = time.monotonic() + PATIENCE
    while not gone and time.monotonic() < end:
        r.conn.process_data_events(time_limit=1)
    r.saw.note(gone)
    q = r.queue("cancel")
    r.consume(q, consumer_tag="mine")
    r.ch.basic_cancel("mine")
    r.saw.same("consumers", r.ch.queue_declare(q, passive=True).method.consumer_count, 0)


def dead_letters(r):
    dead = r.queue("dead")
    q = r.queue("living", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    r.put("", q, "a")
    r.holds("waiting", q, 1)
    m, _, _ = r.ch.basic_get(q)
    r.ch.basic_nack(m.delivery_tag, requeue=False)
    r.consume(dead)
    _, props, body = r.take(1)[0]
    death = props.headers["x-death"][0]
    r.saw.note(body, props.headers["x-first-death-reason"], death["queue"], death["reason"], death["count"])


def failures(r):
    q = r.queue("failures")
    channel = r.conn.channel
    r.refused("another kind", channel().exchange_declare, "amq.direct", "fanout", durable=True)
    r.refused("reserved", channel().queue_declare, "amq.mine")
    r.refused("durable", channel().queue_declare, q, durable=True)
    ch = channel()
    ch.confirm_delivery()
    r.refused("no exchange", ch.basic_publish, r.name("no exchange"), "", b"")
    r.saw.same("alive", r.count(q), 0)


def many(r):
    n = 1000 if SHORT else 10000
    q = r.queue("many")
    r.put("", q, *[str(i) for i in range(n)])
    r.consume(q)
    got = r.take(n)
    r.saw.same("in order", [int(body) for _, _, body in got] == list(range(n)), True)
    r.ch.basic_ack(got[-1][0].delivery_tag, multiple=True)
    r.holds("waiting", q, 0)


def with_connection(do):
    def wrapped(saw):
        r = Run(saw)
        try:
            do(r)
        finally:
            if r.conn.is_open:
                r.conn.close()

    return wrapped


FEATURES = {"connect": connect, "confirms": confirms, "returns": returns, "prefetch": prefetch, "acks": acks, "get": get, "queues": queues,
            "exchanges": exchanges, "reply-to": reply_to, "transactions": transactions, "properties": properties, "large": large,
            "channels": channels, "redelivery": redelivery, "cancel": cancel, "dead letters": dead_letters, "errors": failures, "many": many}

feature.run({name: with_connection(do) for name, do in FEATURES.items()}, sys.argv[1:])
