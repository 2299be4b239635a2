// Runs what a client of queues can do, one feature after the other, and prints a line of JSON for each: whether it worked, and what the
// client saw of it, which has to be the same whatever serves the client.
export const name = process.env.NAME;
export const short = Boolean(process.env.SHORT);
export const patience = 60_000;
const given = /amq\.(gen|ctag)-[A-Za-z0-9_-]+|_INBOX\.[A-Za-z0-9.]+/g;

export class Saw {
	lines = [];
	note(...values) {
		this.lines.push(values.map((v) => (typeof v === "string" ? v : show(v))).join(" "));
	}
	same(what, got, want) {
		if (show(got) !== show(want)) throw new Error(`${what}: ${show(got)}, want ${show(want)}`);
		this.note(what, got);
	}
}

// show writes a value with its keys in order.
export function show(v) {
	return JSON.stringify(v, (_, x) => {
		if (typeof x === "bigint") return `${x}n`;
		if (x && typeof x === "object" && !Array.isArray(x) && x.constructor === Object) {
			return Object.fromEntries(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)));
		}
		return x;
	});
}

// within bounds what a feature waits for.
export function within(what, promise, ms = patience) {
	let timer;
	const late = new Promise((_, no) => {
		timer = setTimeout(() => no(new Error(`waited in vain for ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function run(features) {
	const only = process.argv.slice(2);
	for (const [feature, doIt] of Object.entries(features)) {
		if (only.length && !only.includes(feature)) continue;
		const saw = new Saw();
		const said = { feature, ok: true };
		try {
			await within(feature, doIt(saw), 2 * patience);
		} catch (e) {
			said.ok = false;
			said.detail = `${e.name}: ${e.message}`;
		}
		said.saw = saw.lines.join("\n").replaceAll(name, "NAME").replaceAll(given, "GIVEN");
		process.stdout.write(`${JSON.stringify(said)}\n`);
	}
	process.exit(0);
}
