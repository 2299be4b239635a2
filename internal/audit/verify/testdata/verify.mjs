// A second verifier of Gatehouse's audit log, in another language and from docs/reference/audit-format.md alone:
//   node verify.mjs DIRECTORY PUBLIC-KEY
// It needs nothing but Node.js, prints {"ok", "records", "signed", "fault"} and exits with 1 where there is a fault. It
// says whether a log is whole; where exactly it is not is the Go verifier's to say.
import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const sha = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const die = (what) => { throw new Error(what); };

// CRC-32C (Castagnoli), reflected.
const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});
function crc(...parts) {
  let c = 0xffffffff;
  for (const p of parts) for (const b of p) c = table[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function parseKey(text) {
  const [name, id, data] = text.trim().split(/\+(.*?)\+(.*)/s);
  const raw = Buffer.from(data ?? "", "base64");
  if (raw.length !== 33 || raw[0] !== 1 || sha(name + "\n", raw).subarray(0, 4).toString("hex") !== id) die("bad key");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw.subarray(1)]);
  return { text: text.trim(), name, id, key: createPublicKey({ key: der, format: "der", type: "spki" }) };
}

function parseNote(raw) {
  const [body, sigs, more] = raw.split("\n\n");
  if (more !== undefined || !sigs?.endsWith("\n")) die("not a note");
  const lines = body.split("\n");
  if (lines[3] !== "format 1" || !lines[4].startsWith("first ")) die("not a checkpoint of format 1");
  const next = lines.find((l) => l.startsWith("next-key "))?.slice(9);
  const signatures = sigs.trimEnd().split("\n").map((line) => {
    const [, name, data] = line.match(/^— (\S+) (\S+)$/u) ?? die("bad signature line");
    const bytes = Buffer.from(data, "base64");
    if (bytes.toString("base64") !== data) die("bad base64");
    return { name, id: bytes.subarray(0, 4).toString("hex"), sig: bytes.subarray(4) };
  });
  return { raw, text: body + "\n", origin: lines[0], size: Number(lines[1]), root: lines[2], first: Number(lines[4].slice(6)), next, signatures };
}

const signedBy = (note, k) =>
  note.signatures.some((s) => s.name === k.name && s.id === k.id && verifySignature(null, Buffer.from(note.text), k.key, s.sig));

// The right edge of an RFC 6962 tree.
class Tree {
  edge = [];
  size = 0;
  add(leaf) {
    let h = sha(Buffer.from([0]), leaf);
    let level = 0;
    for (let n = this.size++; n % 2 === 1; n = (n - 1) / 2) h = sha(Buffer.from([1]), this.edge[level++], h);
    this.edge[level] = h;
  }
  root() {
    let h = null;
    for (let level = 0, n = this.size; n > 0; level++, n = Math.floor(n / 2)) {
      if (n % 2 === 1) h = h ? sha(Buffer.from([1]), this.edge[level], h) : this.edge[level];
    }
    return (h ?? sha("")).toString("base64");
  }
}

function parseSegment(b, last) {
  if (b.subarray(0, 8).toString() !== "GHAUDIT\n" || b.readUInt16BE(8) !== 1) die("not a segment of format 1");
  const n = b.readUInt16BE(10);
  if (crc(b.subarray(0, n - 4)) !== b.readUInt32BE(n - 4)) die("segment header: CRC");
  const head = {
    raw: b.subarray(0, n), epoch: b.readUInt32BE(12), id: b.subarray(16, 32).toString("hex"), epochFirst: Number(b.readBigUInt64BE(32)),
    first: Number(b.readBigUInt64BE(40)), link: b.subarray(48, 80), node: b.subarray(82, n - 4).toString(),
  };
  const records = [];
  for (let at = n; at < b.length;) {
    const size = at + 8 <= b.length ? b.readUInt32BE(at) : Infinity;
    const body = b.subarray(at + 8, at + 8 + size);
    if (at + 8 + size > b.length || crc(b.subarray(at, at + 4), body) !== b.readUInt32BE(at + 4)) {
      if (last) break; // torn: the checkpoints say whether that is allowed
      die("record: CRC");
    }
    const seq = Number(body.readBigUInt64BE(1));
    if (body[0] === 1) records.push({ seq, commit: sha("gatehouse audit commitment v1\n", body.subarray(9, 25), body.subarray(25)), event: JSON.parse(body.subarray(25)) });
    else if (body[0] === 2 && body.length === 41) records.push({ seq, commit: body.subarray(9) });
    else die("record: kind");
    at += 8 + size;
  }
  return { head, records };
}

function seqBytes(seq) {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(seq));
  return b;
}

const out = { ok: false, records: 0, signed: 0 };

function verifyEpoch(dir, keys, before) {
  const names = readdirSync(join(dir, "segments")).filter((n) => n.endsWith(".seg")).sort();
  const historyFile = join(dir, "checkpoints");
  const blocks = existsSync(historyFile) ? readFileSync(historyFile, "utf8").split("\n\n") : [];
  const history = [];
  for (let i = 0; i + 2 < blocks.length; i += 2) history.push(parseNote(blocks[i] + "\n\n" + blocks[i + 1] + "\n"));
  const tree = new Tree();
  const announced = new Set();
  const windows = new Map(); // how many messages an intent covers
  let prev = null, next, active = null, signed = 0, origin;
  const settle = () => {
    for (; history.length > 0 && history[0].size === tree.size; history.shift()) {
      const c = history[0];
      const by = keys.filter((k) => signedBy(c, k));
      if (by.length === 0 || (active && !by.some((k) => k.text === active.text))) die("checkpoint: signature");
      active ??= by[0];
      if (c.origin !== origin || c.root !== tree.root()) die(`checkpoint of ${c.size}: root`);
      if (c.next) {
        if (!announced.has(c.next)) die("checkpoint: a key that no record names");
        active = parseKey(c.next);
        keys.push(active);
      }
      signed = c.size;
      latest = c;
    }
  };
  let latest = null;
  for (const [i, name] of names.entries()) {
    const { head, records } = parseSegment(readFileSync(join(dir, "segments", name)), i === names.length - 1);
    if (!prev) {
      next = head.epochFirst;
      origin = `gatehouse-audit/${head.node}/${head.epoch}-${head.id}`;
      settle();
    } else {
      const want = sha("gatehouse audit segment link v1\n", prev.head.raw, seqBytes(next - 1), prev.commit);
      if (!want.equals(head.link)) die("segment: link");
    }
    if (head.first !== next || name !== String(head.first).padStart(20, "0") + ".seg") die("segment: place");
    let commit = prev?.commit;
    for (const r of records) {
      if (r.seq !== next) die(`record ${r.seq} where ${next} belongs`);
      const d = r.event?.detail ?? {};
      if (r.event?.kind === "key.rotated" && d.key === "audit") announced.add(d.public);
      if (r.event?.kind === "log.epoch" && (d.origin !== before?.origin || d.size !== String(before.size) || d.root !== before.root)) die("epoch: predecessor");
      const action = `${JSON.stringify(r.event?.session)} ${r.event?.action}`;
      if (r.event?.kind === "action.intended" && r.event.window) windows.set(action, r.event.window.messages);
      if (r.event?.kind === "action.ended") {
        if ((r.event.rows ?? 0) > (windows.get(action) ?? Infinity)) die(`record ${r.seq}: more messages than the intent covers`);
        windows.delete(action);
      }
      if (r.event?.kind === "gateway.started") windows.clear();
      tree.add(Buffer.concat([Buffer.from([1]), seqBytes(r.seq), r.commit]));
      commit = r.commit;
      next++;
      settle();
    }
    prev = { head, commit };
  }
  if (history.length > 0) die(`a checkpoint covers ${history[0].size} records and ${tree.size} are here`);
  if (latest && !readFileSync(join(dir, "checkpoints"), "utf8").includes(readFileSync(join(dir, "checkpoint"), "utf8"))) die("checkpoint: not in the history");
  out.records += tree.size;
  out.signed += signed;
  return { origin, size: tree.size, root: tree.root() };
}

try {
  const [dir, key] = process.argv.slice(2);
  const keys = [parseKey(key)];
  let before = null;
  const epochs = readdirSync(dir).filter((n) => /^epoch-\d{6}$/.test(n)).sort();
  if (epochs.length === 0) die("no audit log here");
  for (const name of epochs) before = verifyEpoch(join(dir, name), keys, before);
  out.ok = true;
} catch (e) {
  out.fault = String(e.message);
}
console.log(JSON.stringify(out));
process.exitCode = out.ok ? 0 : 1;
