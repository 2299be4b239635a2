"""Does with boto3 what the columns of the matrix in e2e/cloud say, and prints a line of JSON for each; or does the one call that it
is told, and prints what came. It knows nothing of what serves it: its environment says where that is."""

import hashlib
import io
import json
import mimetypes
import os
import ssl
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

name = os.environ.get("NAME", "")


def client(service):
    # Debian's version is older than AWS_ENDPOINT_URL
    config = Config(retries={"max_attempts": 1}, signature_version="s3v4" if service == "s3" else None)  # of presigned URLs too
    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config)


s3, dynamo, sqs, sts = client("s3"), client("dynamodb"), client("sqs"), client("sts")

ODD = ["a b.txt", "snow ☃ é.txt", "plus+sign", "per%cent%20", "equals=and&amp", "semi;colon,comma", "quote'\"s", "star*(1)!~", "a:b@c$d", "ends with dot."]


def same(got, want):
    if got != want:
        raise AssertionError(f"{got!r:.300}, want {want!r:.300}")


def refused(call, word, **args):
    try:
        call(**args)
    except ClientError as e:
        same(e.response["Error"]["Code"], word)
        return e
    raise AssertionError(f"was not refused with {word}")


def put(key, body, **more):
    return s3.put_object(Bucket=name, Key=key, Body=body, **more)


def get(key, **more):
    return s3.get_object(Bucket=name, Key=key, **more)


def text(out):
    return out["Body"].read().decode()


def buckets():
    s3.create_bucket(Bucket=name)
    s3.head_bucket(Bucket=name)
    same(name in [b["Name"] for b in s3.list_buckets()["Buckets"]], True)


def objects():
    put("dir/object.json", '{"a":1}', ContentType="application/json", Metadata={"owner": "me and you"})
    out = get("dir/object.json")
    head = s3.head_object(Bucket=name, Key="dir/object.json")
    saw = [text(out), out["ETag"], head["ETag"], out["ContentType"], head["ContentLength"], out["Metadata"], head["Metadata"]]
    put("empty", "")
    same(text(get("empty")), "")
    s3.delete_object(Bucket=name, Key="dir/object.json")
    refused(s3.head_object, "404", Bucket=name, Key="dir/object.json")
    return saw


def lists():
    for k in ["l/a", "l/b/1", "l/b/2", "l/c d", "l/e"]:
        put(k, k)
    one = s3.list_objects(Bucket=name, Prefix="l/", Delimiter="/")
    saw = [len(one["CommonPrefixes"]), [o["Key"] for o in one["Contents"]]]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="l/", PaginationConfig={"PageSize": 2}):
        saw.append([o["Key"] for o in page["Contents"]])
    out = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "l/a"}, {"Key": "l/c d"}]})
    same(len(out["Deleted"]), 2)
    return saw


def copies():
    put("from here", "copied")
    s3.copy_object(Bucket=name, Key="to/here", CopySource={"Bucket": name, "Key": "from here"})
    same(text(get("to/here")), "copied")


def ranges():
    put("digits", "0123456789")
    saw = []
    for r in ["bytes=2-4", "bytes=-3", "bytes=7-"]:
        out = get("digits", Range=r)
        saw.append([text(out), out["ContentRange"]])
    return saw


def multipart():
    body = b"a" * (5 << 20) + b"b" * (1 << 20)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(body), name, "parts", Config=config)
    got = io.BytesIO()
    s3.download_fileobj(name, "parts", got, Config=config)  # in ranges
    same(hashlib.sha256(got.getvalue()).hexdigest(), hashlib.sha256(body).hexdigest())
    up = s3.create_multipart_upload(Bucket=name, Key="parts")
    s3.abort_multipart_upload(Bucket=name, Key="parts", UploadId=up["UploadId"])
    return s3.head_object(Bucket=name, Key="parts")["ETag"]


def checksums():
    saw = []
    for algorithm in ["CRC32", "SHA1", "SHA256"]:  # what it knows without its C library
        put("sum", "checked", ChecksumAlgorithm=algorithm)
        out = get("sum", ChecksumMode="ENABLED")
        saw.append([text(out), out["Checksum" + algorithm]])
    return saw


def names():
    for k in ODD:
        put("odd/" + k, k)
        same(text(get("odd/" + k)), k)
    out = s3.list_objects_v2(Bucket=name, Prefix="odd/")
    same(len(out["Contents"]), len(ODD))
    return [o["Key"] for o in out["Contents"]]


def conditions():
    etag = put("once", "1")["ETag"]
    refused(s3.get_object, "304", Bucket=name, Key="once", IfNoneMatch=etag)
    refused(s3.get_object, "PreconditionFailed", Bucket=name, Key="once", IfMatch='"0"')


def presigned():
    put("pre signed", "by URL")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "pre signed"})
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    with urllib.request.urlopen(url, context=context) as resp:
        same(resp.read().decode(), "by URL")


def errors():
    try:
        get("nothing here")
        raise AssertionError("it is there")
    except s3.exceptions.NoSuchKey:
        pass
    refused(s3.list_objects_v2, "NoSuchBucket", Bucket=name + "-none")


class Digits(io.RawIOBase):
    """So many bytes, which are not held in memory."""

    def __init__(self, size):
        self.size, self.at, self.piece = size, 0, bytes(range(256)) * 256

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, to, whence=0):
        self.at = to + (0, self.at, self.size)[whence]
        return self.at

    def read(self, n=-1):
        n = self.size - self.at if n is None or n < 0 else min(n, self.size - self.at)
        start, out = self.at % 256, b""
        while len(out) < start + n:
            out += self.piece
        self.at += n
        return out[start : start + n]


def large(size=64 << 20):
    put("large", Digits(size))
    want, got = hashlib.sha256(), hashlib.sha256()
    whole = Digits(size)
    while piece := whole.read(1 << 20):
        want.update(piece)
    for piece in get("large")["Body"].iter_chunks(1 << 20):
        got.update(piece)
    same(got.hexdigest(), want.hexdigest())


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}}


def tables():
    dynamo.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    dynamo.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


def items():
    values = {"name": {"S": "Ann ☃"}, "n": {"N": "7"}, "b": {"B": bytes([0, 1, 255])}, "ok": {"BOOL": True}, "none": {"NULL": True}}
    values |= {"set": {"SS": ["x", "y"]}, "list": {"L": [{"S": "x"}, {"N": "2"}]}, "map": {"M": {"in": {"S": "side"}}}}
    dynamo.put_item(TableName=name, Item=key("a", 1) | values)
    dynamo.update_item(
        TableName=name,
        Key=key("a", 1),
        UpdateExpression="SET #n = #n + :one REMOVE #none",
        ExpressionAttributeNames={"#n": "n", "#none": "none"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    item = dynamo.get_item(TableName=name, Key=key("a", 1), ConsistentRead=True)["Item"]
    dynamo.delete_item(TableName=name, Key=key("a", 1))
    return [sorted(item), item["n"], list(item["b"]["B"]), item["list"], item["map"], item["name"]]


def conditional():
    once = {"TableName": name, "Item": key("once", 1), "ConditionExpression": "attribute_not_exists(pk)"}
    dynamo.put_item(**once)
    try:
        dynamo.put_item(**once)
        raise AssertionError("it was put twice")
    except dynamo.exceptions.ConditionalCheckFailedException as e:
        return e.response["Error"]["Message"]


def queries():
    for i in range(5):
        dynamo.put_item(TableName=name, Item=key("q", i) | {"name": {"S": f"n{i}"}})
    saw = []
    for page in dynamo.get_paginator("query").paginate(
        TableName=name,
        KeyConditionExpression="pk = :p AND sk > :s",
        FilterExpression="#n <> :x",
        ProjectionExpression="sk, #n",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":p": {"S": "q"}, ":s": {"N": "0"}, ":x": {"S": "n3"}},
        PaginationConfig={"PageSize": 2},
    ):
        saw.append([i["name"]["S"] for i in page["Items"]])
    out = dynamo.scan(TableName=name, FilterExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "q"}})
    return [saw, out["Count"]]


def batches():
    dynamo.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": key("b", i)}} for i in range(3)]})
    out = dynamo.batch_get_item(RequestItems={name: {"Keys": [key("b", i) for i in range(3)]}})
    same(len(out["Responses"][name]), 3)


def transactions():  # the emulator does not know them: that it says so has to arrive
    refused(dynamo.transact_write_items, "UnknownOperationException", TransactItems=[{"Put": {"TableName": name, "Item": key("t", 1)}}])


def queues():
    sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "40"})
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    refused(sqs.get_queue_url, "AWS.SimpleQueueService.NonExistentQueue", QueueName=name + "-none")
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"]


def receive(queue):
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages")
    if not messages:
        raise AssertionError("no message came")
    return url, messages


def messages():
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    kind = {"kind": {"DataType": "String", "StringValue": "order"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody='{"card":"snow ☃"}', MessageAttributes=kind)
    _, [m] = receive(name)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    return [sent["MD5OfMessageBody"], m["Body"], m["MessageAttributes"]["kind"]["StringValue"]]


def message_batches():
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    out = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "one"}, {"Id": "2", "MessageBody": "two"}])
    same([len(out["Successful"]), len(receive(name)[1]) > 0], [2, True])
    sqs.purge_queue(QueueUrl=url)


def identity():
    return sts.get_caller_identity()["Account"]


FEATURES = [buckets, objects, lists, copies, ranges, multipart, checksums, names, conditions, presigned, errors, large]
FEATURES += [tables, items, conditional, queries, batches, transactions, queues, messages, message_batches, identity]

CALLS = {
    "get": lambda bucket, k: text(s3.get_object(Bucket=bucket, Key=k)),
    "head": lambda bucket, k: s3.head_object(Bucket=bucket, Key=k)["ContentLength"],
    "put": lambda bucket, k, body: s3.put_object(Bucket=bucket, Key=k, Body=body, ContentType=mimetypes.guess_type(k)[0] or "text/plain") and "done",
    "delete": lambda bucket, k: s3.delete_object(Bucket=bucket, Key=k) and "done",
    "list": lambda bucket: s3.list_objects_v2(Bucket=bucket)["KeyCount"],
    "copy": lambda bucket, k, source: s3.copy_object(Bucket=bucket, Key=k, CopySource=source) and "done",
    "presign": lambda bucket, k: s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": k}),
    "item": lambda table, pk: json.dumps(dynamo.get_item(TableName=table, Key=key(pk, 1))["Item"]),
    "receive": lambda queue: receive(queue)[1][0]["Body"],
    "queue": lambda queue: sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "0"}) and "done",
    "send": lambda queue, body: sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=body) and "done",
    "assume": lambda arn: sts.assume_role(RoleArn=arn, RoleSessionName="me") and "done",
}


def one(call, *about):
    try:
        print(CALLS[call](*about))
    except ClientError as e:
        print(f"{e.response['Error']['Code']}: {e.response['Error']['Message']}")
    except Exception as e:
        print("not an error of the service:", type(e).__name__, e)


def main():
    if len(sys.argv) > 1:
        one(*sys.argv[1:])
        return
    for f in FEATURES:
        line = {"feature": f.__name__.replace("_", " ") if f is message_batches else f.__name__}
        try:
            saw = f()
            line |= {"ok": True, "saw": json.dumps(saw) if saw is not None else ""}
        except Exception as e:
            line |= {"ok": False, "detail": f"{type(e).__name__}: {e}"}
        print(json.dumps(line), flush=True)


main()
