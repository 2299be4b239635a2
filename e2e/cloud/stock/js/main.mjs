// Does with the AWS SDK for JavaScript what the columns of the matrix in e2e/cloud say, and prints a line of JSON for each; or does
// the one call that it is told, and prints what came. It knows nothing of what serves it: its environment says where that is.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import * as s3 from "@aws-sdk/client-s3";
import * as dynamo from "@aws-sdk/client-dynamodb";
import * as sqs from "@aws-sdk/client-sqs";
import * as sts from "@aws-sdk/client-sts";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const name = process.env.NAME;
const settings = { maxAttempts: 2 };
const objects = new s3.S3Client(settings);
const tables = new dynamo.DynamoDBClient(settings);
const queues = new sqs.SQSClient(settings); // it sends calls to the host that a queue's URL names
const identities = new sts.STSClient(settings);
const bucket = { Bucket: name };

const call = (client, command, input) => client.send(new command(input));
const put = (Key, Body, more = {}) => call(objects, s3.PutObjectCommand, { ...bucket, Key, Body, ...more });
const get = (Key, more = {}) => call(objects, s3.GetObjectCommand, { ...bucket, Key, ...more });
const text = (out) => out.Body.transformToString();

function same(got, want) {
	if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

async function refused(promise, word) {
	try {
		await promise;
	} catch (e) {
		same(e.name, word);
		return e;
	}
	throw new Error(`was not refused with ${word}`);
}

const odd = ["a b.txt", "snow ☃ é.txt", "plus+sign", "per%cent%20", "equals=and&amp", "semi;colon,comma", "quote'\"s", "star*(1)!~", "a:b@c$d", "ends with dot."];

// bytes are as many as are asked for, in pieces.
function* bytes(size) {
	for (let at = 0; at < size; at += 1 << 16) {
		const piece = Buffer.alloc(Math.min(1 << 16, size - at));
		for (let i = 0; i < piece.length; i += 7) piece[i] = (at >> 16) + i;
		yield piece;
	}
}

async function large(size) {
	const up = createHash("sha256");
	for (const piece of bytes(size)) up.update(piece);
	await put("large", Readable.from(bytes(size)), { ContentLength: size });
	const down = createHash("sha256");
	for await (const piece of (await get("large")).Body) down.update(piece);
	same(down.digest("hex"), up.digest("hex"));
}

const s = (S) => ({ S });
const n = (N) => ({ N: String(N) });
const key = (pk, sk) => ({ pk: s(pk), sk: n(sk) });
const table = { TableName: name };
let queue;

async function receive(QueueUrl) {
	const out = await call(queues, sqs.ReceiveMessageCommand, { QueueUrl, WaitTimeSeconds: 5, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] });
	if (!out.Messages?.length) throw new Error("no message came");
	return out.Messages;
}

const features = {
	async buckets() {
		await call(objects, s3.CreateBucketCommand, bucket);
		await call(objects, s3.HeadBucketCommand, bucket);
		const out = await call(objects, s3.ListBucketsCommand, {});
		same(out.Buckets.some((b) => b.Name === name), true);
	},
	async objects() {
		await put("dir/object.json", '{"a":1}', { ContentType: "application/json", Metadata: { owner: "me and you" } });
		const out = await get("dir/object.json");
		const head = await call(objects, s3.HeadObjectCommand, { ...bucket, Key: "dir/object.json" });
		const saw = [await text(out), out.ETag, head.ETag, out.ContentType, head.ContentLength, out.Metadata, head.Metadata];
		await put("empty", "");
		same(await text(await get("empty")), "");
		await call(objects, s3.DeleteObjectCommand, { ...bucket, Key: "dir/object.json" });
		await refused(call(objects, s3.HeadObjectCommand, { ...bucket, Key: "dir/object.json" }), "NotFound");
		return saw;
	},
	async lists() {
		for (const k of ["l/a", "l/b/1", "l/b/2", "l/c d", "l/e"]) await put(k, k);
		const one = await call(objects, s3.ListObjectsCommand, { ...bucket, Prefix: "l/", Delimiter: "/" });
		const saw = [one.CommonPrefixes.length, one.Contents.map((o) => o.Key)];
		for await (const page of s3.paginateListObjectsV2({ client: objects }, { ...bucket, Prefix: "l/", MaxKeys: 2 })) saw.push(page.Contents.map((o) => o.Key));
		const del = await call(objects, s3.DeleteObjectsCommand, { ...bucket, Delete: { Objects: [{ Key: "l/a" }, { Key: "l/c d" }] } });
		same(del.Deleted.length, 2);
		return saw;
	},
	async copies() {
		await put("from here", "copied");
		await call(objects, s3.CopyObjectCommand, { ...bucket, Key: "to/here", CopySource: `${name}/from%20here` });
		same(await text(await get("to/here")), "copied");
	},
	async ranges() {
		await put("digits", "0123456789");
		const saw = [];
		for (const Range of ["bytes=2-4", "bytes=-3", "bytes=7-"]) {
			const out = await get("digits", { Range });
			saw.push([await text(out), out.ContentRange]);
		}
		return saw;
	},
	async multipart() {
		const up = await call(objects, s3.CreateMultipartUploadCommand, { ...bucket, Key: "parts", ChecksumAlgorithm: "CRC32" });
		const of = { ...bucket, Key: "parts", UploadId: up.UploadId };
		const Parts = [];
		for (const [i, Body] of [Buffer.alloc(5 << 20, "a"), Buffer.alloc(1 << 20, "b")].entries()) {
			const out = await call(objects, s3.UploadPartCommand, { ...of, PartNumber: i + 1, Body });
			Parts.push({ ETag: out.ETag, PartNumber: i + 1, ChecksumCRC32: out.ChecksumCRC32 });
		}
		await call(objects, s3.CompleteMultipartUploadCommand, { ...of, MultipartUpload: { Parts } });
		const out = await get("parts");
		const sum = createHash("sha256").update(await out.Body.transformToByteArray()).digest("hex");
		const aborted = await call(objects, s3.CreateMultipartUploadCommand, { ...bucket, Key: "parts" });
		await call(objects, s3.AbortMultipartUploadCommand, { ...of, UploadId: aborted.UploadId });
		return [sum, out.ETag];
	},
	async checksums() {
		const saw = [];
		for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
			await put("sum", "checked", { ChecksumAlgorithm });
			const out = await get("sum", { ChecksumMode: "ENABLED" });
			saw.push([await text(out), out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256]);
		}
		return saw;
	},
	async names() {
		for (const k of odd) {
			await put(`odd/${k}`, k);
			same(await text(await get(`odd/${k}`)), k);
		}
		const out = await call(objects, s3.ListObjectsV2Command, { ...bucket, Prefix: "odd/" });
		same(out.Contents.length, odd.length);
		return out.Contents.map((o) => o.Key);
	},
	async conditions() {
		const { ETag } = await put("once", "1");
		await refused(put("once", "2", { IfNoneMatch: "*" }), "PreconditionFailed");
		same(await get("once", { IfNoneMatch: ETag }).catch((e) => e.$metadata.httpStatusCode), 304);
		await refused(get("once", { IfMatch: '"0"' }), "PreconditionFailed");
	},
	async presigned() {
		await put("pre signed", "by URL");
		const resp = await fetch(await getSignedUrl(objects, new s3.GetObjectCommand({ ...bucket, Key: "pre signed" })));
		same([resp.status, await resp.text()], [200, "by URL"]);
	},
	async errors() {
		const e = await refused(get("nothing here"), "NoSuchKey");
		same(e instanceof s3.NoSuchKey, true);
		await refused(call(objects, s3.ListObjectsV2Command, { Bucket: `${name}-none` }), "NoSuchBucket");
	},
	large: () => large(64 << 20),
	async tables() {
		await call(tables, dynamo.CreateTableCommand, {
			...table, BillingMode: "PAY_PER_REQUEST",
			AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
			KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
		});
		await dynamo.waitUntilTableExists({ client: tables, maxWaitTime: 60, minDelay: 1 }, table);
	},
	async items() {
		await call(tables, dynamo.PutItemCommand, {
			...table,
			Item: { ...key("a", 1), name: s("Ann ☃"), n: n(7), b: { B: new Uint8Array([0, 1, 255]) }, ok: { BOOL: true }, none: { NULL: true }, set: { SS: ["x", "y"] }, list: { L: [s("x"), n(2)] }, map: { M: { in: s("side") } } },
		});
		await call(tables, dynamo.UpdateItemCommand, {
			...table, Key: key("a", 1), UpdateExpression: "SET #n = #n + :one REMOVE #none",
			ExpressionAttributeNames: { "#n": "n", "#none": "none" }, ExpressionAttributeValues: { ":one": n(1) },
		});
		const { Item } = await call(tables, dynamo.GetItemCommand, { ...table, Key: key("a", 1), ConsistentRead: true });
		await call(tables, dynamo.DeleteItemCommand, { ...table, Key: key("a", 1) });
		return [Object.keys(Item).sort(), Item.n.N, [...Item.b.B], Item.list, Item.map, Item.name];
	},
	async conditional() {
		const once = () => call(tables, dynamo.PutItemCommand, { ...table, Item: key("once", 1), ConditionExpression: "attribute_not_exists(pk)" });
		await once();
		const e = await refused(once(), "ConditionalCheckFailedException");
		same(e instanceof dynamo.ConditionalCheckFailedException, true);
		return e.message;
	},
	async queries() {
		for (let i = 0; i < 5; i++) await call(tables, dynamo.PutItemCommand, { ...table, Item: { ...key("q", i), name: s(`n${i}`) } });
		const saw = [];
		const pages = dynamo.paginateQuery({ client: tables, pageSize: 2 }, {
			...table, KeyConditionExpression: "pk = :p AND sk > :s", FilterExpression: "#n <> :x", ProjectionExpression: "sk, #n",
			ExpressionAttributeNames: { "#n": "name" }, ExpressionAttributeValues: { ":p": s("q"), ":s": n(0), ":x": s("n3") },
		});
		for await (const page of pages) saw.push(page.Items.map((i) => i.name.S));
		const out = await call(tables, dynamo.ScanCommand, { ...table, FilterExpression: "pk = :p", ExpressionAttributeValues: { ":p": s("q") } });
		return [saw, out.Count];
	},
	async batches() {
		await call(tables, dynamo.BatchWriteItemCommand, { RequestItems: { [name]: [0, 1, 2].map((i) => ({ PutRequest: { Item: key("b", i) } })) } });
		const out = await call(tables, dynamo.BatchGetItemCommand, { RequestItems: { [name]: { Keys: [0, 1, 2].map((i) => key("b", i)) } } });
		same(out.Responses[name].length, 3);
	},
	async transactions() { // the emulator does not know them: that it says so has to arrive
		await refused(call(tables, dynamo.TransactWriteItemsCommand, { TransactItems: [{ Put: { ...table, Item: key("t", 1) } }] }), "UnknownOperationException");
	},
	async queues() {
		await call(queues, sqs.CreateQueueCommand, { QueueName: name, Attributes: { VisibilityTimeout: "40" } });
		queue = (await call(queues, sqs.GetQueueUrlCommand, { QueueName: name })).QueueUrl;
		const out = await call(queues, sqs.GetQueueAttributesCommand, { QueueUrl: queue, AttributeNames: ["All"] });
		const e = await refused(call(queues, sqs.GetQueueUrlCommand, { QueueName: `${name}-none` }), "QueueDoesNotExist");
		same(e instanceof sqs.QueueDoesNotExist, true);
		return out.Attributes.VisibilityTimeout;
	},
	async messages() {
		const MessageBody = '{"card":"snow ☃"}';
		const sent = await call(queues, sqs.SendMessageCommand, { QueueUrl: queue, MessageBody, MessageAttributes: { kind: { DataType: "String", StringValue: "order" } } });
		const [m] = await receive(queue);
		await call(queues, sqs.DeleteMessageCommand, { QueueUrl: queue, ReceiptHandle: m.ReceiptHandle });
		return [sent.MD5OfMessageBody, m.Body, m.MessageAttributes.kind.StringValue];
	},
	async "message batches"() {
		const out = await call(queues, sqs.SendMessageBatchCommand, { QueueUrl: queue, Entries: [{ Id: "1", MessageBody: "one" }, { Id: "2", MessageBody: "two" }] });
		same([out.Successful.length, (await receive(queue)).length > 0], [2, true]);
		await call(queues, sqs.PurgeQueueCommand, { QueueUrl: queue });
	},
	identity: async () => (await call(identities, sts.GetCallerIdentityCommand, {})).Account,
};

const calls = {
	get: async (Bucket, Key) => text(await call(objects, s3.GetObjectCommand, { Bucket, Key })),
	head: async (Bucket, Key) => (await call(objects, s3.HeadObjectCommand, { Bucket, Key })).ContentLength,
	put: async (Bucket, Key, Body) => (await call(objects, s3.PutObjectCommand, { Bucket, Key, Body }), "done"),
	delete: async (Bucket, Key) => (await call(objects, s3.DeleteObjectCommand, { Bucket, Key }), "done"),
	list: async (Bucket) => (await call(objects, s3.ListObjectsV2Command, { Bucket })).Contents?.length ?? 0,
	copy: async (Bucket, Key, CopySource) => (await call(objects, s3.CopyObjectCommand, { Bucket, Key, CopySource }), "done"),
	presign: (Bucket, Key) => getSignedUrl(objects, new s3.GetObjectCommand({ Bucket, Key })),
	item: async (TableName, pk) => JSON.stringify((await call(tables, dynamo.GetItemCommand, { TableName, Key: key(pk, 1) })).Item),
	async receive(QueueName) {
		const { QueueUrl } = await call(queues, sqs.GetQueueUrlCommand, { QueueName });
		return (await receive(QueueUrl))[0].Body;
	},
	assume: async (RoleArn) => (await call(identities, sts.AssumeRoleCommand, { RoleArn, RoleSessionName: "me" }), "done"),
};

const [one, ...about] = process.argv.slice(2);
if (one) {
	try {
		console.log(await calls[one](...about));
	} catch (e) {
		console.log(e.$metadata?.httpStatusCode ? `${e.name}: ${e.message}` : `not an error of the service: ${e.stack}`);
	}
} else {
	for (const [feature, run] of Object.entries(features)) {
		try {
			console.log(JSON.stringify({ feature, ok: true, saw: JSON.stringify(await run()) ?? "" }));
		} catch (e) {
			console.log(JSON.stringify({ feature, ok: false, detail: `${e.name}: ${e.message}` }));
		}
	}
}
