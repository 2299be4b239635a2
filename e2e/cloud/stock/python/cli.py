"""Does with the AWS CLI what the columns of the matrix in e2e/cloud say, and prints a line of JSON for each; or does the one call that
it is told, and prints what came. It knows nothing of what serves it: its environment says where that is."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request

name = os.environ.get("NAME", "")
work = tempfile.TemporaryDirectory()


class Refused(Exception):
    pass


def aws(*args, stdin=None):
    command = ["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json", *args]
    p = subprocess.run(command, input=stdin, capture_output=True, cwd=work.name, env=os.environ | {"AWS_MAX_ATTEMPTS": "1"})
    if p.returncode:
        raise Refused(p.stderr.decode().strip())
    if args[0] == "s3":
        return p.stdout.decode()
    return json.loads(p.stdout) if p.stdout.strip() else {}


def same(got, want):
    if got != want:
        raise AssertionError(f"{got!r:.300}, want {want!r:.300}")


def refused(word, *args):
    try:
        aws(*args)
    except Refused as e:
        if f"({word})" not in str(e):
            raise
        return
    raise AssertionError(f"was not refused with {word}")


def file(body, called="file"):
    path = os.path.join(work.name, called)
    with open(path, "wb") as f:
        f.write(body)
    return path


def put(key, body, *more):
    return aws("s3api", "put-object", "--bucket", name, "--key", key, "--body", file(body.encode()), *more)


def get(key, *more, bucket=None):
    out = aws("s3api", "get-object", "--bucket", bucket or name, "--key", key, *more, "got")
    with open(os.path.join(work.name, "got"), "rb") as f:
        return f.read().decode(), out


def buckets():
    aws("s3", "mb", "s3://" + name)
    aws("s3api", "head-bucket", "--bucket", name)
    same(name in [b["Name"] for b in aws("s3api", "list-buckets")["Buckets"]], True)


def objects():
    put("dir/object.json", '{"a":1}', "--content-type", "application/json", "--metadata", "owner=me")
    body, out = get("dir/object.json")
    head = aws("s3api", "head-object", "--bucket", name, "--key", "dir/object.json")
    aws("s3", "rm", f"s3://{name}/dir/object.json")
    refused("404", "s3api", "head-object", "--bucket", name, "--key", "dir/object.json")
    return [body, out["ETag"], head["ETag"], out["ContentType"], head["ContentLength"], out["Metadata"], head["Metadata"]]


def lists():
    for k in ["l/a", "l/b/1", "l/c d"]:
        put(k, k)
    one = aws("s3api", "list-objects", "--bucket", name, "--prefix", "l/", "--delimiter", "/")
    two = aws("s3api", "list-objects-v2", "--bucket", name, "--prefix", "l/", "--page-size", "2")
    words = [line.split()[2:] for line in aws("s3", "ls", "--recursive", f"s3://{name}/l/").splitlines()]
    aws("s3", "rm", "--recursive", f"s3://{name}/l/")
    return [len(one["CommonPrefixes"]), [o["Key"] for o in one["Contents"]], [o["Key"] for o in two["Contents"]], words]


def copies():
    put("from here", "copied")
    aws("s3", "cp", f"s3://{name}/from here", f"s3://{name}/to/here")
    same(get("to/here")[0], "copied")


def ranges():
    put("digits", "0123456789")
    return [(body, out["ContentRange"]) for body, out in (get("digits", "--range", r) for r in ["bytes=2-4", "bytes=-3"])]


def multipart():
    body = b"a" * (8 << 20) + b"b" * (2 << 20)
    aws("s3", "cp", file(body), f"s3://{name}/parts")
    aws("s3", "cp", f"s3://{name}/parts", "back")
    with open(os.path.join(work.name, "back"), "rb") as f:
        same(hashlib.sha256(f.read()).hexdigest(), hashlib.sha256(body).hexdigest())
    return aws("s3api", "head-object", "--bucket", name, "--key", "parts")["ETag"]


def checksums():
    saw = []
    for algorithm in ["CRC32", "SHA1", "SHA256"]:  # what it knows without its C library
        put("sum", "checked", "--checksum-algorithm", algorithm)
        body, out = get("sum", "--checksum-mode", "ENABLED")
        saw.append([body, out["Checksum" + algorithm]])
    return saw


def conditions():
    etag = put("once", "1")["ETag"]
    refused("304", "s3api", "get-object", "--bucket", name, "--key", "once", "--if-none-match", etag, "got")
    refused("PreconditionFailed", "s3api", "get-object", "--bucket", name, "--key", "once", "--if-match", '"0"', "got")


def presigned():
    put("pre signed", "by URL")
    url = aws("s3", "presign", f"s3://{name}/pre signed").strip()
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    with urllib.request.urlopen(url, context=context) as resp:
        same(resp.read().decode(), "by URL")


def names():
    odd = ["a b.txt", "snow ☃ é.txt", "plus+sign", "per%cent%20", "semi;colon,comma", "star*(1)!~"]
    for k in odd:
        put("odd/" + k, k)
        same(get("odd/" + k)[0], k)
    return [o["Key"] for o in aws("s3api", "list-objects-v2", "--bucket", name, "--prefix", "odd/")["Contents"]]


def errors():
    refused("NoSuchKey", "s3api", "get-object", "--bucket", name, "--key", "nothing here", "got")
    refused("NoSuchBucket", "s3api", "list-objects-v2", "--bucket", name + "-none")


def large():
    body = bytes(range(256)) * (64 << 12)
    aws("s3", "cp", "-", f"s3://{name}/large", stdin=body)  # in parts, from a pipe
    aws("s3", "cp", f"s3://{name}/large", "back")
    with open(os.path.join(work.name, "back"), "rb") as f:
        same(hashlib.sha256(f.read()).hexdigest(), hashlib.sha256(body).hexdigest())


def key(pk, sk):
    return {"pk": {"S": pk}, "sk": {"N": str(sk)}}


def dynamo(operation, **args):
    return aws("dynamodb", operation, "--cli-input-json", json.dumps({"TableName": name} | args))


def tables():
    dynamo(
        "create-table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    aws("dynamodb", "wait", "table-exists", "--table-name", name)


def items():
    dynamo("put-item", Item=key("a", 1) | {"name": {"S": "Ann ☃"}, "n": {"N": "7"}, "set": {"SS": ["x", "y"]}})
    values = {":one": {"N": "1"}}
    names = {"#n": "n"}
    dynamo("update-item", Key=key("a", 1), UpdateExpression="SET #n = #n + :one", ExpressionAttributeNames=names, ExpressionAttributeValues=values)
    item = dynamo("get-item", Key=key("a", 1), ConsistentRead=True)["Item"]
    dynamo("delete-item", Key=key("a", 1))
    return item


def conditional():
    once = {"Item": key("once", 1), "ConditionExpression": "attribute_not_exists(pk)"}
    dynamo("put-item", **once)
    refused("ConditionalCheckFailedException", "dynamodb", "put-item", "--cli-input-json", json.dumps({"TableName": name} | once))


def queries():
    for i in range(3):
        dynamo("put-item", Item=key("q", i))
    out = dynamo("query", KeyConditionExpression="pk = :p AND sk > :s", ExpressionAttributeValues={":p": {"S": "q"}, ":s": {"N": "0"}})
    return [out["Items"], dynamo("scan", FilterExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "q"}})["Count"]]


def batches():
    aws("dynamodb", "batch-write-item", "--request-items", json.dumps({name: [{"PutRequest": {"Item": key("b", 0)}}]}))
    same(len(aws("dynamodb", "batch-get-item", "--request-items", json.dumps({name: {"Keys": [key("b", 0)]}}))["Responses"][name]), 1)


def transactions():  # the emulator does not know them: that it says so has to arrive
    put = json.dumps([{"Put": {"TableName": name, "Item": key("t", 1)}}])
    refused("UnknownOperationException", "dynamodb", "transact-write-items", "--transact-items", put)


def url():
    return aws("sqs", "get-queue-url", "--queue-name", name)["QueueUrl"]


def queues():
    aws("sqs", "create-queue", "--queue-name", name, "--attributes", "VisibilityTimeout=40")
    refused("AWS.SimpleQueueService.NonExistentQueue", "sqs", "get-queue-url", "--queue-name", name + "-none")
    return aws("sqs", "get-queue-attributes", "--queue-url", url(), "--attribute-names", "All")["Attributes"]["VisibilityTimeout"]


def receive(queue):
    out = aws("sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "5", "--max-number-of-messages", "10")
    if not out.get("Messages"):
        raise AssertionError("no message came")
    return out["Messages"]


def messages():
    queue = url()
    sent = aws("sqs", "send-message", "--queue-url", queue, "--message-body", '{"card":"snow ☃"}')
    [m] = receive(queue)
    aws("sqs", "delete-message", "--queue-url", queue, "--receipt-handle", m["ReceiptHandle"])
    return [sent["MD5OfMessageBody"], m["Body"]]


def message_batches():
    entries = json.dumps([{"Id": "1", "MessageBody": "one"}, {"Id": "2", "MessageBody": "two"}])
    same(len(aws("sqs", "send-message-batch", "--queue-url", url(), "--entries", entries)["Successful"]), 2)
    same(len(receive(url())) > 0, True)


def identity():
    return aws("sts", "get-caller-identity")["Account"]


FEATURES = [buckets, objects, lists, copies, ranges, multipart, checksums, names, conditions, presigned, errors, large]
FEATURES += [tables, items, conditional, queries, batches, transactions, queues, messages, message_batches, identity]


def done(*args):
    aws(*args)
    return "done"


CALLS = {
    "get": lambda bucket, k: get(k, bucket=bucket)[0],
    "head": lambda bucket, k: aws("s3api", "head-object", "--bucket", bucket, "--key", k)["ContentLength"],
    "put": lambda bucket, k, body: done("s3api", "put-object", "--bucket", bucket, "--key", k, "--body", file(body.encode())),
    "delete": lambda bucket, k: done("s3api", "delete-object", "--bucket", bucket, "--key", k),
    "list": lambda bucket: len(aws("s3api", "list-objects-v2", "--bucket", bucket).get("Contents", [])),
    "copy": lambda bucket, k, source: done("s3api", "copy-object", "--bucket", bucket, "--key", k, "--copy-source", source),
    "item": lambda table, pk: json.dumps(aws("dynamodb", "get-item", "--table-name", table, "--key", json.dumps(key(pk, 1)))["Item"]),
    "receive": lambda queue: receive(aws("sqs", "get-queue-url", "--queue-name", queue)["QueueUrl"])[0]["Body"],
    "assume": lambda arn: done("sts", "assume-role", "--role-arn", arn, "--role-session-name", "me"),
}


def one(call, *about):
    try:
        print(CALLS[call](*about))
    except Refused as e:
        m = re.search(r"An error occurred \(([^)]*)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: (.*)", str(e), re.S)
        print(f"{m[1]}: {m[2]}" if m else f"not an error of the service: {e}")


def main():
    if len(sys.argv) > 1:
        one(*sys.argv[1:])
        return
    for f in FEATURES:
        line = {"feature": "message batches" if f is message_batches else f.__name__}
        try:
            saw = f()
            line |= {"ok": True, "saw": json.dumps(saw) if saw is not None else ""}
        except Exception as e:
            line |= {"ok": False, "detail": f"{type(e).__name__}: {e}"}
        print(json.dumps(line), flush=True)


main()
