// Plays every feature with node-postgres, as environment variables say (PGHOST and so on), and prints a line of JSON for each.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

const large = 64 << 20
const { PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGSSLROOTCERT, LIMITED_TOKEN } = process.env
// Everything is set here: this driver reads PGSSLMODE in a way of its own.
const config = (token = PGPASSWORD, more = {}) => ({
  host: PGHOST, port: Number(PGPORT), user: PGUSER, database: PGDATABASE, password: token,
  ssl: { ca: readFileSync(PGSSLROOTCERT, 'utf8'), rejectUnauthorized: true }, ...more,
})
const connect = async (token, more) => {
  const c = new pg.Client(config(token, more))
  await c.connect()
  return c
}
const feature = async (name, run) => {
  try {
    await run()
    console.log(JSON.stringify({ feature: name, ok: true }))
  } catch (e) {
    console.log(JSON.stringify({ feature: name, ok: false, detail: String(e?.stack ?? e).slice(0, 600) }))
  }
}
const fails = async (promise, code) => {
  const e = await promise.then(() => assert.fail('no error'), (e) => e)
  assert.equal(e.code, code, String(e))
  return e
}

let client
await feature('login', async () => { client = await connect() })
if (!client) process.exit(0)
const one = async (text, values) => Object.values((await client.query(text, values)).rows[0])

await feature('simple', async () => {
  assert.deepEqual(await one('SELECT 40 + 2 AS a'), [42])
  assert.deepEqual(await one('SELECT $1::integer + 1 AS a, $2::text AS b', [2, "it's"]), [3, "it's"])
})
await feature('prepared', async () => {
  for (let i = 0; i < 50; i++) {
    const r = await client.query({ name: 'twice', text: 'SELECT $1::integer * 2 AS n', values: [i] })
    assert.equal(r.rows[0].n, 2 * i)
  }
})
await feature('pipeline', async () => {
  const c = await connect(undefined, { pipeline: true })
  const all = await Promise.all([...Array(20).keys()].map((i) => c.query('SELECT $1::integer AS n', [i])))
  assert.deepEqual(all.map((r) => r.rows[0].n), [...Array(20).keys()])
  const [a, b, d] = await Promise.allSettled([c.query('SELECT 1 AS n'), c.query('SELECT 1/0'), c.query('SELECT 2 AS n')])
  assert.deepEqual([a.status, b.reason?.code, d.value?.rows[0].n], ['fulfilled', '22012', 2])
  await c.end()
})
await feature('batch', async () => {
  const r = await client.query('SELECT 1 AS a; SELECT 2 AS a; SELECT 3 AS a')
  assert.deepEqual(r.map((x) => x.rows[0].a), [1, 2, 3])
})
await feature('copy in', async () => {
  await pipeline(Readable.from(['1\tcopied\t{a,b}\n', '2\tcopied\t\\N\n']), client.query(copyFrom('COPY tables.work FROM STDIN')))
  assert.deepEqual(await one("SELECT count(*)::integer AS n FROM tables.work WHERE name = 'copied'"), [2])
})
await feature('copy out', async () => {
  let text = ''
  for await (const chunk of client.query(copyTo("COPY (SELECT id, tags FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT"))) text += chunk
  assert.equal(text, '1\t{a,b}\n2\t\\N\n')
  await client.query("DELETE FROM tables.work WHERE name = 'copied'")
})
await feature('cancel', async () => {
  const began = Date.now()
  const query = new pg.Query('SELECT pg_sleep(60)')
  const ended = new Promise((resolve) => { query.on('error', resolve); query.on('end', () => resolve(null)) })
  client.query(query)
  await sleep(300) // until the statement runs: what is queued would be cancelled here, not by the server
  new pg.Client(config()).cancel(client, query)
  const e = await ended
  assert.equal(e?.code, '57014')
  assert.ok(Date.now() - began < 30000)
  assert.deepEqual(await one('SELECT 1 AS a'), [1])
})
await feature('notify', async () => {
  const heard = new Promise((resolve) => client.once('notification', resolve))
  await client.query('LISTEN matrix')
  const other = await connect()
  await other.query("NOTIFY matrix, 'hello'")
  await other.end()
  const n = await heard
  assert.deepEqual([n.channel, n.payload], ['matrix', 'hello'])
  await client.query('UNLISTEN *')
})
await feature('64 MiB', async () => {
  const [text] = await one("SELECT repeat('x', 67108864) AS a")
  assert.equal(text.length, large)
  assert.deepEqual(await one('SELECT length($1::text) AS a', [text]), [large])
})
await feature('null', async () => assert.deepEqual(await one('SELECT $1::text AS a, NULL::integer AS b', [null]), [null, null]))
await feature('array', async () => {
  assert.deepEqual(await one('SELECT $1::text[] AS a, $2::integer[] AS b', [['a', 'b,"c', null], [1, 2]]), [['a', 'b,"c', null], [1, 2]])
})
await feature('tx errors', async () => {
  await client.query('BEGIN')
  await client.query("INSERT INTO tables.work (id, name) VALUES ($1, 'tx')", [7])
  await client.query('SAVEPOINT a')
  await fails(client.query('SELECT 1/$1::integer', [0]), '22012')
  await fails(client.query('SELECT 1'), '25P02')
  await client.query('ROLLBACK TO a')
  assert.deepEqual(await one("SELECT count(*)::integer AS n FROM tables.work WHERE name = 'tx'"), [1])
  await client.query('ROLLBACK')
  assert.deepEqual(await one("SELECT count(*)::integer AS n FROM tables.work WHERE name = 'tx'"), [0])
})
await feature('reset', async () => {
  const c = await connect()
  for (const text of ["SET statement_timeout = '1h'", 'RESET statement_timeout', "SET statement_timeout = '1h'", 'RESET ALL', "SET statement_timeout = '1h'", 'DISCARD ALL']) {
    await c.query(text)
  }
  assert.equal((await c.query('SHOW statement_timeout')).rows[0].statement_timeout, '0')
  await c.end()
})
await feature('bad token', async () => {
  const e = await fails(connect('no-token-at-all'), '28P01')
  assert.match(e.message, /authentication failed.*gatehouse whoami/)
})
await feature('refusal', async () => {
  const c = await connect(LIMITED_TOKEN)
  const e = await fails(c.query('SELECT * FROM hidden.things'), '42501')
  assert.match(e.message + e.hint, /not-the-hidden/)
  assert.ok(e.hint)
  assert.equal((await c.query('SELECT 1 AS a')).rows[0].a, 1)
  await c.end()
})
await feature('pool', async () => {
  const pool = new pg.Pool(config(undefined, { max: 4 }))
  const all = await Promise.all([...Array(40).keys()].map((i) => pool.query('SELECT $1::integer AS n', [i])))
  assert.deepEqual(all.map((r) => r.rows[0].n), [...Array(40).keys()])
  await pool.end()
})
await client.end()
