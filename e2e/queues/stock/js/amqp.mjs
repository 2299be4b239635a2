// Does with amqplib what the columns of AMQP's matrix in e2e/queues say, and prints a line of JSON for each. It knows nothing of what
// serves it: its environment says where that is.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import amqp from "amqplib";
import { name, patience, run, short, within } from "./feature.mjs";

const settings = { ca: [readFileSync(process.env.CA_FILE)], servername: "localhost" };

async function dial() {
	const url = new URL(process.env.URL);
	url.searchParams.set("heartbeat", "10");
	const conn = await amqp.connect(url.toString(), settings);
	conn.on("error", () => {}); // whoever waits is told too
	return conn;
}

class Run {
	constructor(saw) {
		this.saw = saw;
	}
	async open() {
		this.conn = await dial();
		this.ch = await this.channel();
		return this;
	}
	async channel(confirms = false) {
		const ch = await (confirms ? this.conn.createConfirmChannel() : this.conn.createChannel());
		ch.on("error", () => {});
		return ch;
	}
	name(s) {
		return `${name}.${s}`;
	}
	async queue(s, args = {}) {
		const { queue } = await this.ch.assertQueue(this.name(s), { durable: false, arguments: args });
		await this.ch.purgeQueue(queue);
		return queue;
	}
	put(exchange, key, ...bodies) {
		for (const b of bodies) this.ch.publish(exchange, key, Buffer.from(b));
	}
	async count(q) {
		return (await this.ch.checkQueue(q)).messageCount;
	}
	// holds waits until a queue counts as many: the broker's counts overtake what it was sent before.
	async holds(what, q, want) {
		const end = Date.now() + patience;
		while ((await this.count(q)) !== want && Date.now() < end);
		this.saw.same(what, await this.count(q), want);
	}
	// consume has deliveries wait until they are taken.
	async consume(q, options = {}, ch = this.ch) {
		const got = [];
		let wake = () => {};
		const { consumerTag } = await ch.consume(
			q,
			(m) => {
				got.push(m);
				wake();
			},
			options,
		);
		const take = async (n) => {
			while (got.length < n) await within("a delivery", new Promise((yes) => (wake = yes)));
			return got.splice(0, n);
		};
		return { take, got, consumerTag };
	}
	async refused(what, f) {
		const ch = await this.channel();
		const ended = once(ch, "error").then(([e]) => e);
		ended.catch(() => {});
		let e;
		try {
			await f(ch);
			e = await within(what, ended);
		} catch (x) {
			e = x;
		}
		this.saw.note(what, e.code ?? 0, e.message);
	}
}

const text = (m) => m.content.toString();

const features = {
	async connect(r) {
		const p = r.conn.connection.serverProperties;
		r.saw.note(p.product, p.capabilities);
		const c = r.conn.connection;
		r.saw.note(c.channelMax, c.frameMax, c.heartbeat);
		await r.ch.close();
	},
	async confirms(r) {
		const q = await r.queue("confirms");
		r.ch = await r.channel(true);
		for (let i = 0; i < 150; i++) r.put("", q, String(i));
		await within("confirms", r.ch.waitForConfirms());
		await r.holds("waiting", q, 150);
	},
	async returns(r) {
		r.ch = await r.channel(true);
		const order = [];
		r.ch.on("return", (m) => order.push([m.fields, m.properties, text(m)]));
		r.ch.publish("", r.name("nobody"), Buffer.from("back"), { mandatory: true, messageId: "7", headers: { a: "b" } }, (e) => order.push(["confirmed", e]));
		await within("confirms", r.ch.waitForConfirms());
		r.saw.note(order);
	},
	async prefetch(r) {
		const q = await r.queue("prefetch");
		await r.ch.prefetch(5);
		r.put("", q, ...Array.from({ length: 20 }, (_, i) => String(i)));
		const { take, got } = await r.consume(q);
		for (let round = 0; round < 4; round++) {
			const five = await take(5);
			r.saw.same("in order", five.map((m) => Number(text(m))), [0, 1, 2, 3, 4].map((i) => round * 5 + i));
			await r.count(q);
			r.saw.same("no sixth", got.length, 0);
			r.ch.ack(five[4], true);
		}
		await r.holds("waiting", q, 0);
	},
	async acks(r) {
		const q = await r.queue("acks");
		r.put("", q, "a", "b", "c", "d");
		const { take } = await r.consume(q);
		const [a, b, c, d] = await take(4);
		r.ch.ack(a);
		r.ch.nack(b, false, true);
		r.ch.reject(c, true);
		r.ch.nack(d, false, false);
		for (const m of await take(2)) r.saw.note(text(m), m.fields.redelivered, m.fields.deliveryTag);
		await r.ch.recover();
		for (const m of await take(2)) {
			r.saw.note(text(m), m.fields.redelivered, m.fields.deliveryTag);
			r.ch.reject(m, false);
		}
		await r.ch.close();
		r.ch = await r.channel();
		await r.holds("waiting", q, 0);
	},
	async get(r) {
		const q = await r.queue("get");
		r.put("", q, "a", "b");
		await r.holds("waiting", q, 2);
		for (let i = 0; i < 3; i++) {
			const m = await r.ch.get(q);
			r.saw.note(m && [m.fields, m.properties, text(m)]);
			if (m) r.ch.ack(m);
		}
		r.put("", q, "c");
		await r.holds("waiting", q, 1);
		r.saw.note(text(await r.ch.get(q, { noAck: true })));
	},
	async queues(r) {
		const own = (await r.ch.assertQueue("", { exclusive: true, autoDelete: true })).queue;
		r.saw.same("named by the server", own.startsWith("amq.gen-"), true);
		r.put("", own, "a", "b");
		await r.holds("waiting", own, 2);
		const other = await new Run(r.saw).open();
		await other.refused("exclusive", (ch) => ch.checkQueue(own));
		await other.conn.close();
		r.saw.same("purged", (await r.ch.purgeQueue(own)).messageCount, 2);
		const q = await r.queue("queues", { "x-max-length": 2, "x-overflow": "drop-head", "x-message-ttl": 60000 });
		r.put("", q, "a", "b", "c");
		await r.holds("at most", q, 2);
		const { take } = await r.consume(q);
		await take(2);
		r.saw.note(await r.ch.checkQueue(q));
		r.saw.note(await r.ch.deleteQueue(q));
		await r.refused("none of the name", (ch) => ch.checkQueue(r.name("never")));
	},
	async exchanges(r) {
		const [x, y, h] = ["x", "y", "h"].map((s) => r.name(s));
		await r.ch.assertExchange(x, "topic", { durable: false, alternateExchange: y });
		await r.ch.assertExchange(y, "fanout", { durable: false });
		await r.ch.assertExchange(h, "headers", { durable: false });
		await r.ch.checkExchange(h);
		const q = await r.queue("q");
		const z = await r.queue("z");
		await r.ch.bindQueue(q, x, "orders.*.new");
		await r.ch.bindQueue(z, y, "");
		await r.ch.bindExchange(h, x, "deep.#");
		await r.ch.bindQueue(q, h, "", { "x-match": "all", kind: "refund" });
		r.put(x, "orders.eu.new", "a");
		r.put(x, "orders.eu.old", "to the alternate");
		r.ch.publish(x, "deep.er", Buffer.from("by header"), { headers: { kind: "refund" } });
		await r.holds("bound", q, 2);
		await r.holds("alternate", z, 1);
		await r.ch.unbindQueue(q, x, "orders.*.new");
		await r.ch.unbindExchange(h, x, "deep.#");
		r.put(x, "orders.eu.new", "to the alternate");
		await r.holds("alternate", z, 2);
		await r.holds("unbound", q, 2);
		for (const e of [x, y, h]) await r.ch.deleteExchange(e);
		await r.refused("none of the name", (ch) => ch.checkExchange(x));
	},
	async "reply-to"(r) {
		const q = await r.queue("rpc");
		const server = await new Run(r.saw).open();
		const asked = await server.consume(q, { noAck: true });
		const answers = await r.consume("amq.rabbitmq.reply-to", { noAck: true });
		r.ch.publish("", q, Buffer.from("ping"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "1" });
		const [d] = await asked.take(1);
		r.saw.same("a name to answer to", d.properties.replyTo.startsWith("amq.rabbitmq.reply-to."), true);
		server.ch.publish("", d.properties.replyTo, Buffer.from("pong"), { correlationId: d.properties.correlationId });
		const [a] = await answers.take(1);
		r.saw.note(text(a), a.properties.correlationId);
		await server.conn.close();
	},
	async properties(r) {
		const q = await r.queue("properties");
		r.ch.publish("", q, Buffer.from('{"x": 1}'), {
			contentType: "application/json",
			contentEncoding: "identity",
			persistent: true,
			priority: 3,
			correlationId: "c",
			replyTo: q,
			expiration: "60000",
			messageId: "m",
			timestamp: 1700000000,
			type: "t",
			appId: "a",
			CC: r.name("nobody"),
			BCC: r.name("nobody else"),
			headers: {
				bool: true,
				small: 3,
				int: -70000,
				long: 2 ** 40,
				double: 2.25,
				text: "snow ☃",
				bytes: Buffer.from([0, 1, 255]),
				none: null,
				list: [1, "two", { three: null }],
				table: { deep: { er: true } },
				decimal: { "!": "decimal", value: { digits: 314, places: 2 } },
				time: { "!": "timestamp", value: 1700000000 },
				float: { "!": "float", value: 1.5 },
				byte: { "!": "byte", value: -3 },
			},
		});
		await r.holds("waiting", q, 1);
		const m = await r.ch.get(q, { noAck: true });
		r.saw.note(text(m), m.properties);
		r.put("", q, "");
		await r.holds("waiting", q, 1);
		const empty = await r.ch.get(q, { noAck: true });
		r.saw.note(text(empty), empty.properties);
	},
	async large(r) {
		const q = await r.queue("large");
		r.ch = await r.channel(true);
		const body = Buffer.alloc((short ? 8 : 64) << 20);
		for (let i = 0; i < body.length; i += 7) body[i] = i >> 8;
		r.ch.publish("", q, body);
		await within("the confirm", r.ch.waitForConfirms());
		const { take } = await r.consume(q);
		const [m] = await take(1);
		const sum = (b) => createHash("sha256").update(b).digest("hex");
		r.saw.same("the same", sum(m.content), sum(body));
		r.ch.ack(m);
		await r.ch.deleteQueue(q);
	},
	async channels(r) {
		const q = await r.queue("channels");
		for (let i = 0; i < 10; i++) {
			const some = await Promise.all(Array.from({ length: 100 }, () => r.channel()));
			for (const ch of some) ch.publish("", q, Buffer.from("x"));
		}
		await r.holds("waiting", q, 1000);
	},
	async redelivery(r) {
		const q = await r.queue("redelivery");
		r.put("", q, "a", "b", "c");
		const first = await r.consume(q);
		const [a] = await first.take(2);
		r.ch.ack(a);
		await r.count(q);
		r.conn.connection.stream.destroy(); // a cut: nothing is said
		await r.open();
		const { take } = await r.consume(q);
		for (const m of await take(2)) {
			r.saw.note(text(m));
			if (text(m) === "b") r.saw.same("marked", m.fields.redelivered, true);
			r.ch.ack(m);
		}
		await r.holds("waiting", q, 0);
	},
	async cancel(r) {
		const q = await r.queue("cancel");
		const { take } = await r.consume(q, { consumerTag: "mine" });
		await (await r.channel()).deleteQueue(q);
		r.saw.same("cancelled", (await take(1))[0], null);
		await r.queue("cancel");
		await r.consume(q, { consumerTag: "mine" });
		await r.ch.cancel("mine");
		r.saw.same("consumers", (await r.ch.checkQueue(q)).consumerCount, 0);
	},
	async "dead letters"(r) {
		const dead = await r.queue("dead");
		const q = await r.queue("living", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead });
		r.put("", q, "a");
		await r.holds("waiting", q, 1);
		r.ch.nack(await r.ch.get(q), false, false);
		const { take } = await r.consume(dead);
		const [m] = await take(1);
		const [death] = m.properties.headers["x-death"];
		r.saw.note(text(m), m.properties.headers["x-first-death-reason"], death.queue, death.reason, death.count);
	},
	async errors(r) {
		const q = await r.queue("failures");
		await r.refused("another kind", (ch) => ch.assertExchange("amq.direct", "fanout"));
		await r.refused("reserved", (ch) => ch.assertQueue("amq.mine"));
		await r.refused("durable", (ch) => ch.assertQueue(q, { durable: true }));
		await r.refused("no exchange", (ch) => ch.publish(r.name("no exchange"), "", Buffer.from("")));
		await r.refused("no such tag", (ch) => ch.ack({ fields: { deliveryTag: 77 } }));
		r.saw.same("alive", await r.count(q), 0);
	},
	async many(r) {
		const n = short ? 2000 : 20000;
		const q = await r.queue("many");
		const { take } = await r.consume(q);
		const out = await r.channel();
		for (let i = 0; i < n; i++) out.publish("", q, Buffer.from(String(i)));
		const got = await take(n);
		r.saw.same("in order", got.every((m, i) => text(m) === String(i)), true);
		r.ch.ack(got[n - 1], true);
		await r.holds("waiting", q, 0);
	},
};

await run(
	Object.fromEntries(
		Object.entries(features).map(([feature, doIt]) => [
			feature,
			async (saw) => {
				const r = await new Run(saw).open();
				try {
					await doIt(r);
				} finally {
					await r.conn.close().catch(() => {}); // a feature may have ended it
				}
			},
		]),
	),
);
