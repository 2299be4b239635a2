// Does with nats.js what the columns of NATS's matrix in e2e/queues say, and prints a line of JSON for each. It knows nothing of what
// serves it: its environment says where that is.
import { AckPolicy, connect, consumerOpts, createInbox, Empty, headers, nanos, StringCodec } from "nats";
import { name, patience, run, short, within } from "./feature.mjs";

const { encode, decode } = StringCodec();
const at = new URL(process.env.URL);
const settings = {
	servers: at.host,
	user: decodeURIComponent(at.username),
	pass: decodeURIComponent(at.password),
	tls: { caFile: process.env.CA_FILE },
	reconnect: false,
	timeout: patience,
};
const dial = (more = {}) => connect({ ...settings, ...more });

class Run {
	constructor(saw, conn) {
		this.saw = saw;
		this.conn = conn;
	}
	name(s) {
		return `${name}.${s}`;
	}
	plain(s) {
		return `${name}-${s}`;
	}
	async subscribe(subject, options) {
		const got = [];
		let wake = () => {};
		const sub = this.conn.subscribe(subject, {
			...options,
			callback: (err, m) => {
				got.push(err ?? m);
				wake();
			},
		});
		await this.conn.flush();
		const take = async (n) => {
			while (got.length < n) await within("a message", new Promise((yes) => (wake = yes)));
			return got.splice(0, n);
		};
		return { sub, take, got };
	}
	async stream(s, more = {}) {
		const jsm = await this.conn.jetstreamManager({ timeout: patience });
		await jsm.streams.add({ name: this.plain(s), subjects: [`${this.name(s)}.>`], ...more });
		return { jsm, js: this.conn.jetstream({ timeout: patience }) };
	}
	async fill(js, s, n) {
		for (let i = 0; i < n; i++) await js.publish(`${this.name(s)}.x`, encode(String(i)));
	}
	async refused(what, promise) {
		try {
			await promise;
		} catch (e) {
			this.saw.note(what, e.code ?? "", e.message, e.api_error?.err_code ?? 0);
			return;
		}
		throw new Error(`${what} was not refused`);
	}
}

const text = (m) => decode(m.data);

const features = {
	async connect(r) {
		const i = r.conn.info;
		r.saw.note(i.max_payload, i.headers, Boolean(i.auth_required), i.jetstream, i.proto);
		await r.conn.rtt();
	},
	async publish(r) {
		const s = await r.subscribe(r.name("publish"));
		for (const b of ["a", "", "c"]) r.conn.publish(r.name("publish"), encode(b));
		for (const m of await s.take(3)) r.saw.note(m.subject, text(m), m.reply ?? "");
		const silent = await dial({ noEcho: true });
		const mine = await new Run(r.saw, silent).subscribe(r.name("publish"));
		silent.publish(r.name("publish"), encode("to others"));
		await silent.flush();
		r.saw.note(text((await s.take(1))[0]));
		r.saw.same("no echo", mine.got.length, 0);
		await silent.close();
	},
	async wildcards(r) {
		const star = await r.subscribe(r.name("w.*.c"));
		const rest = await r.subscribe(r.name("w.>"));
		r.conn.publish(r.name("w.b.c"), encode("both"));
		r.conn.publish(r.name("w.b.d"), encode("rest"));
		r.conn.publish(r.name("w"), encode("nobody"));
		r.saw.note((await star.take(1)).map(text), (await rest.take(2)).map(text));
		await r.conn.flush();
		r.saw.same("a second", star.got.length, 0);
	},
	async "queue groups"(r) {
		const all = await Promise.all([0, 1, 2].map(() => r.subscribe(r.name("group"), { queue: "workers" })));
		for (let i = 0; i < 300; i++) r.conn.publish(r.name("group"), Empty);
		await r.conn.flush();
		r.saw.same("each once", all.reduce((n, s) => n + s.got.length, 0), 300);
	},
	async requests(r) {
		const server = await dial();
		server.subscribe(r.name("ask"), { callback: (_, m) => m.respond(encode(`re: ${text(m)}`)) });
		await server.flush();
		for (let i = 0; i < 50; i++) {
			const m = await r.conn.request(r.name("ask"), encode(String(i)), { timeout: patience });
			if (text(m) !== `re: ${i}`) throw new Error(`answer ${i} is ${text(m)}`);
		}
		const own = await r.conn.request(r.name("ask"), encode("own"), { timeout: patience, noMux: true, reply: createInbox() });
		r.saw.note(text(own));
		await server.close();
	},
	async "no responders"(r) {
		await r.refused("nobody", r.conn.request(r.name("nobody"), Empty, { timeout: patience }));
	},
	async headers(r) {
		const s = await r.subscribe(r.name("headers"));
		const h = headers();
		h.append("One", "1");
		h.append("Many", "a");
		h.append("Many", "b c: d");
		h.append("Empty", "");
		r.conn.publish(r.name("headers"), encode("body"), { headers: h, reply: r.name("answers") });
		r.conn.publish(r.name("headers"), Empty, { headers: h });
		for (const m of await s.take(2)) r.saw.note([...m.headers].map(([k, v]) => [k, v]), text(m), m.reply ?? "");
	},
	async unsubscribe(r) {
		const s = await r.subscribe(r.name("few"), { max: 2 });
		for (const b of ["a", "b", "c"]) r.conn.publish(r.name("few"), encode(b));
		await r.conn.flush();
		r.saw.note(s.got.map(text), s.sub.isClosed());
		const t = await r.subscribe(r.name("few"));
		t.sub.unsubscribe();
		r.conn.publish(r.name("few"), Empty);
		await r.conn.flush();
		r.saw.same("nobody", t.got.length, 0);
	},
	async drain(r) {
		const c = await dial();
		const s = await new Run(r.saw, c).subscribe(r.name("drain"));
		for (let i = 0; i < 100; i++) r.conn.publish(r.name("drain"), Empty);
		await r.conn.flush();
		await c.drain();
		r.saw.same("all of them", s.got.length, 100);
	},
	async "max payload"(r) {
		const s = await r.subscribe(r.name("large"));
		const most = r.conn.info.max_payload;
		r.conn.publish(r.name("large"), new Uint8Array(most));
		r.saw.same("arrived", (await s.take(1))[0].data.length, most);
		try {
			r.conn.publish(r.name("large"), new Uint8Array(most + 1));
		} catch (e) {
			r.saw.note(e.code, e.message);
			return;
		}
		throw new Error("more than the most was sent");
	},
	async many(r) {
		const n = short ? 10000 : 100000;
		const s = await new Run(r.saw, await dial()).subscribe(r.name("many"));
		for (let i = 0; i < n; i++) {
			r.conn.publish(r.name("many"), encode(String(i)));
			if (i % 1000 === 999) await r.conn.flush();
		}
		const got = await s.take(n);
		r.saw.same("in order", got.every((m, i) => text(m) === String(i)), true);
	},
	async streams(r) {
		const { jsm, js } = await r.stream("streams", { max_msgs: 3, description: "of a test" });
		const stream = r.plain("streams");
		for (const b of ["a", "b", "c", "d"]) await js.publish(r.name("streams.x"), encode(b));
		const { state, config } = await jsm.streams.info(stream, { subjects_filter: ">" });
		r.saw.note(state.messages, state.first_seq, state.last_seq, state.subjects, config.description);
		r.saw.note((await jsm.streams.update(stream, { ...config, max_msgs: 10 })).config.max_msgs);
		const m = await jsm.streams.getMessage(stream, { seq: 3 });
		r.saw.note(m.subject, decode(m.data), m.seq);
		const last = await jsm.streams.getMessage(stream, { last_by_subj: r.name("streams.x") });
		r.saw.note(decode(last.data), last.seq);
		await jsm.streams.deleteMessage(stream, 3);
		await r.refused("deleted", jsm.streams.getMessage(stream, { seq: 3 }));
		r.saw.note((await jsm.streams.purge(stream)).purged);
		let found = false;
		for await (const s of jsm.streams.list()) found ||= s.config.name === stream;
		r.saw.same("listed", found, true);
		await jsm.streams.delete(stream);
		await r.refused("deleted", jsm.streams.info(stream));
		r.saw.note((await jsm.getAccountInfo()).limits);
	},
	async "publish acks"(r) {
		const { jsm, js } = await r.stream("published");
		const subject = r.name("published.a");
		for (let i = 0; i < 2; i++) {
			const a = await js.publish(subject, encode("a"), { msgID: "1" });
			r.saw.note(a.stream, a.seq, a.duplicate);
		}
		await r.refused("another sequence", js.publish(subject, encode("b"), { expect: { lastSequence: 7 } }));
		await Promise.all(Array.from({ length: 100 }, () => js.publish(subject, Empty)));
		r.saw.same("stored", (await jsm.streams.info(r.plain("published"))).state.messages, 101);
	},
	async pull(r) {
		const { jsm, js } = await r.stream("pulled");
		await r.fill(js, "pulled", 25);
		await jsm.consumers.add(r.plain("pulled"), { durable_name: "puller", ack_policy: AckPolicy.Explicit });
		const c = await js.consumers.get(r.plain("pulled"), "puller");
		let n = 0;
		while (n < 25) {
			for await (const m of await c.fetch({ max_messages: Math.min(10, 25 - n), expires: 5000 })) {
				r.saw.same("in order", decode(m.data), String(n++));
				r.saw.same("acknowledged", await m.ackAck(), true);
			}
		}
		r.saw.note(await c.next({ expires: 1000 }));
		const info = await c.info();
		r.saw.note(info.ack_floor.stream_seq, info.num_ack_pending, info.num_pending, info.num_redelivered);
		r.saw.note(await jsm.consumers.delete(r.plain("pulled"), "puller"));
	},
	async push(r) {
		const { js } = await r.stream("pushed");
		await r.fill(js, "pushed", 20);
		const options = consumerOpts().durable("pusher").deliverTo(createInbox()).manualAck().ackExplicit().idleHeartbeat(1000).flowControl();
		const s = await js.subscribe(`${r.name("pushed")}.>`, options);
		let n = 0;
		for await (const m of s) {
			r.saw.same("in order", [decode(m.data), m.seq, m.redelivered, m.subject], [String(n++), n, false, r.name("pushed.x")]);
			await m.ackAck();
			if (n === 20) break;
		}
		r.saw.same("acknowledged", (await s.consumerInfo()).ack_floor.stream_seq, 20);
		await s.destroy();
	},
	async ordered(r) {
		const { js } = await r.stream("ordered");
		await r.fill(js, "ordered", 200);
		const c = await js.consumers.get(r.plain("ordered"));
		let n = 0;
		for await (const m of await c.consume()) {
			if (decode(m.data) !== String(n++)) throw new Error(`message ${n} is ${decode(m.data)}`);
			if (n === 200) break;
		}
		r.saw.same("all of them", n, 200);
	},
	async acks(r) {
		const { jsm, js } = await r.stream("acks");
		await r.fill(js, "acks", 4);
		await jsm.consumers.add(r.plain("acks"), { durable_name: "acker", ack_policy: AckPolicy.Explicit, ack_wait: nanos(1000) });
		const c = await js.consumers.get(r.plain("acks"), "acker");
		const got = [];
		for await (const m of await c.fetch({ max_messages: 4, expires: 5000 })) got.push(m);
		await got[0].ackAck();
		got[1].nak();
		got[2].term();
		got[3].working();
		for (let i = 0; i < 2; i++) {
			const m = await c.next({ expires: 10000 });
			r.saw.note(decode(m.data), m.info.redeliveryCount);
			await m.ackAck();
		}
		r.saw.same("floor", (await c.info()).ack_floor.stream_seq, 4);
	},
	async "key-value"(r) {
		const js = r.conn.jetstream({ timeout: patience });
		const kv = await js.views.kv(r.plain("kv"), { history: 5 });
		const watch = await kv.watch({ key: "a.*" });
		r.saw.note(await kv.put("a.b", encode("one")), await kv.update("a.b", encode("two"), 1));
		await r.refused("another revision", kv.update("a.b", encode("three"), 1));
		await r.refused("there", kv.create("a.b", Empty));
		const e = await kv.get("a.b");
		r.saw.note(decode(e.value), e.revision, e.operation);
		await kv.delete("a.b");
		let n = 0;
		for await (const u of watch) {
			r.saw.note(u.key, decode(u.value), u.revision, u.operation);
			if (++n === 3) break;
		}
		await kv.put("c", encode("x"));
		const keys = [];
		for await (const k of await kv.keys()) keys.push(k);
		r.saw.note(keys);
		await kv.purge("a.b");
		r.saw.note((await kv.status()).values, await kv.destroy());
	},
	async objects(r) {
		const js = r.conn.jetstream({ timeout: patience });
		const o = await js.views.os(r.plain("objects"));
		const body = encode("0123456789abcdef".repeat((1 << 16) + 1));
		const info = await o.putBlob({ name: "large" }, body);
		r.saw.note(info.name, info.size, info.chunks, info.digest);
		r.saw.same("the same", decode(await o.getBlob("large")) === decode(body), true);
		r.saw.note((await o.list()).length);
		r.saw.note((await o.delete("large")).success, await o.getBlob("large"));
		await o.destroy();
	},
	async errors(r) {
		const jsm = await r.conn.jetstreamManager({ timeout: patience });
		await r.refused("a stream", jsm.streams.info(r.plain("never")));
		await r.refused("a consumer", jsm.consumers.add(r.plain("never"), { durable_name: "d" }));
		r.saw.same("told", await dial({ user: "wrong" }).then(() => true, (e) => e.code === "AUTHORIZATION_VIOLATION" || e.message), true);
	},
};

await run(
	Object.fromEntries(
		Object.entries(features).map(([feature, doIt]) => [
			feature,
			async (saw) => {
				const r = new Run(saw, await dial());
				const closed = r.conn.closed();
				try {
					await doIt(r);
				} finally {
					await r.conn.close();
				}
				const err = await closed;
				if (err) throw err;
			},
		]),
	),
);
