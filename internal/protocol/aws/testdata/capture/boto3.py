"""Writes requests as boto3 sends them to testdata/captured/boto3.jsonl: run it there. Nothing is asked of AWS."""
import base64, http.server, json, threading, sys, io
import boto3
from botocore.config import Config

seen, out = [], []

class Listener(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def handle_any(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                line = self.rfile.readline()
                size = int(line.split(b";")[0], 16)
                body += line
                if size == 0:
                    while True:
                        t = self.rfile.readline()
                        body += t
                        if t in (b"\r\n", b""):
                            break
                    break
                body += self.rfile.read(size + 2)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen.append({"method": self.command, "target": self.path,
                     "headers": [[k, v] for k, v in self.headers.items()], "body": base64.b64encode(body).decode()})
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = handle_any
    def log_message(self, *a): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d" % server.server_port
keys = dict(aws_access_key_id="any", aws_secret_access_key="any", aws_session_token="THE-TOKEN", region_name="eu-west-1", endpoint_url=url)
conf = dict(retries={"max_attempts": 0}, parameter_validation=True, inject_host_prefix=False)

def client(service, **more):
    return boto3.client(service, config=Config(**conf, **more), **keys)

def call(c, name, **params):
    seen.clear()
    try:
        getattr(c, name)(**params)
    except Exception as e:
        if not seen:
            print(name, e, file=sys.stderr)
    if seen:
        r = dict(seen[0]); r["call"] = c.meta.service_model.service_name + "." + name
        out.append(r)

Q = "http://127.0.0.1/123456789012/jobs"
s3 = client("s3", s3={"addressing_style": "path"}, signature_version="s3v4")
call(s3, "list_buckets")
call(s3, "list_objects_v2", Bucket="reports", Prefix="2026/")
call(s3, "list_objects", Bucket="reports")
call(s3, "head_bucket", Bucket="reports")
call(s3, "put_object", Bucket="reports", Key="a b/ü+1.json", Body=b"{}")
call(s3, "put_object", Bucket="reports", Key="tagged", Body=b"x", Tagging="a=b", ACL="private")
call(s3, "get_object", Bucket="reports", Key="a b/ü+1.json")
call(s3, "get_object", Bucket="reports", Key="a", VersionId="v1")
call(s3, "head_object", Bucket="reports", Key="a//b")
call(s3, "copy_object", Bucket="reports", Key="copy", CopySource={"Bucket": "secrets", "Key": "x y"})
call(s3, "copy_object", Bucket="reports", Key="copy", CopySource={"Bucket": "secrets", "Key": "x", "VersionId": "7"})
call(s3, "delete_objects", Bucket="reports", Delete={"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]})
call(s3, "delete_object", Bucket="reports", Key="a")
call(s3, "create_multipart_upload", Bucket="reports", Key="big")
call(s3, "upload_part", Bucket="reports", Key="big", UploadId="u", PartNumber=1, Body=b"part")
call(s3, "upload_part_copy", Bucket="reports", Key="big", UploadId="u", PartNumber=1, CopySource="secrets/x")
call(s3, "complete_multipart_upload", Bucket="reports", Key="big", UploadId="u", MultipartUpload={"Parts": [{"ETag": "e", "PartNumber": 1}]})
call(s3, "abort_multipart_upload", Bucket="reports", Key="big", UploadId="u")
call(s3, "list_parts", Bucket="reports", Key="big", UploadId="u")
call(s3, "list_multipart_uploads", Bucket="reports")
call(s3, "get_bucket_acl", Bucket="reports")
call(s3, "get_object_tagging", Bucket="reports", Key="a")
call(s3, "put_bucket_policy", Bucket="reports", Policy="{}")
call(s3, "select_object_content", Bucket="reports", Key="a", Expression="select *", ExpressionType="SQL", InputSerialization={"CSV": {}}, OutputSerialization={"CSV": {}})
call(s3, "get_bucket_lifecycle_configuration", Bucket="reports")

d = client("dynamodb")
key = {"id": {"S": "7"}}
call(d, "get_item", TableName="orders", Key=key)
call(d, "put_item", TableName="orders", Item={"id": {"S": "7"}, "email": {"S": "a@b.c"}}, ConditionExpression="attribute_not_exists(id)")
call(d, "update_item", TableName="orders", Key=key, UpdateExpression="SET #n = :v, total = email REMOVE old", ExpressionAttributeNames={"#n": "name"}, ExpressionAttributeValues={":v": {"S": "x"}})
call(d, "query", TableName="orders", IndexName="by-email", KeyConditionExpression="email = :e", ExpressionAttributeValues={":e": {"S": "a@b.c"}})
call(d, "scan", TableName="arn:aws:dynamodb:eu-west-1:123456789012:table/orders", Select="COUNT")
call(d, "batch_get_item", RequestItems={"orders": {"Keys": [key]}, "customers": {"Keys": [key]}})
call(d, "batch_write_item", RequestItems={"orders": [{"DeleteRequest": {"Key": key}}]})
call(d, "transact_write_items", TransactItems=[{"Put": {"TableName": "orders", "Item": key}}, {"ConditionCheck": {"TableName": "customers", "Key": key, "ConditionExpression": "attribute_exists(id)"}}])
call(d, "transact_get_items", TransactItems=[{"Get": {"TableName": "orders", "Key": key}}])
call(d, "execute_statement", Statement="SELECT * FROM \"orders\".\"by-email\" WHERE email = 'x'")
call(d, "execute_statement", Statement="INSERT INTO orders VALUE {'id': '1'}")
call(d, "list_tables")
call(client("dynamodbstreams"), "describe_stream", StreamArn="arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000")

q = client("sqs")
call(q, "send_message", QueueUrl=Q, MessageBody="{}")
call(q, "send_message_batch", QueueUrl=Q, Entries=[{"Id": "1", "MessageBody": "x"}])
call(q, "receive_message", QueueUrl=Q)
call(q, "delete_message", QueueUrl=Q, ReceiptHandle="h")
call(q, "get_queue_url", QueueName="jobs")
call(q, "list_queues")

l = client("lambda")
call(l, "invoke", FunctionName="refund", Payload=b"{}")
call(l, "invoke", FunctionName="arn:aws:lambda:eu-west-1:123456789012:function:refund:live", Payload=b"{}")
call(l, "invoke", FunctionName="123456789012:function:refund", Qualifier="7", Payload=b"{}")
call(l, "get_function", FunctionName="refund")
call(l, "list_functions")
call(l, "create_function", FunctionName="f", Role="arn:aws:iam::123456789012:role/admin", Runtime="python3.12", Handler="h", Code={"ZipFile": b"x"})

call(client("secretsmanager"), "get_secret_value", SecretId="db/prod")
call(client("secretsmanager"), "get_secret_value", SecretId="arn:aws:secretsmanager:eu-west-1:123456789012:secret:db/prod-AbCdEf")
call(client("kms"), "decrypt", CiphertextBlob=b"x", KeyId="alias/app")
call(client("kms"), "re_encrypt", CiphertextBlob=b"x", SourceKeyId="1", DestinationKeyId="2")
call(client("ssm"), "get_parameters", Names=["/app/db", "plain"])
call(client("ssm"), "get_parameter", Name="/app/db:3")
call(client("sts"), "get_caller_identity")
call(client("sts"), "assume_role", RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="session")
call(client("iam"), "get_role", RoleName="x")
call(client("sns"), "publish", TopicArn="arn:aws:sns:eu-west-1:123456789012:alerts", Message="m")
call(client("events"), "put_events", Entries=[{"Source": "app", "DetailType": "t", "Detail": "{}", "EventBusName": "main"}])
call(client("stepfunctions"), "start_execution", stateMachineArn="arn:aws:states:eu-west-1:123456789012:stateMachine:m")
call(client("logs"), "put_log_events", logGroupName="/app", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}])
call(client("kinesis"), "put_record", StreamName="clicks", Data=b"x", PartitionKey="k")
call(client("firehose"), "put_record", DeliveryStreamName="f", Record={"Data": b"x"})
call(client("ecr"), "batch_get_image", repositoryName="app", imageIds=[{"imageTag": "1"}])
call(client("cloudwatch"), "put_metric_data", Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.5}])
call(client("ec2"), "describe_instances", InstanceIds=["i-0123456789abcdef0"])
call(client("rds"), "describe_db_instances", DBInstanceIdentifier="main")
call(client("apigateway"), "get_rest_api", restApiId="abc")
call(client("cloudfront"), "get_distribution", Id="E1")
call(client("bedrock-runtime"), "converse", modelId="anthropic.claude-v2", messages=[{"role": "user", "content": [{"text": "hi"}]}])

with open("../captured/boto3.jsonl", "w") as f:
    for r in out:
        for h in r["headers"]:
            if h[0] == "Host": h[1] = "gateway.example"
            if h[0] == "User-Agent": h[1] = "Boto3"
        f.write(json.dumps(r, ensure_ascii=True) + "\n")
    # presigned
    for r in [("get_object", {"Bucket": "reports", "Key": "a"}), ("put_object", {"Bucket": "reports", "Key": "a"})]:
        u = s3.generate_presigned_url(r[0], Params=r[1], HttpMethod="GET" if r[0].startswith("get") else "PUT")
        f.write(json.dumps({"method": "GET" if r[0].startswith("get") else "PUT", "target": u[len(url):], "headers": [["Host", "gateway.example"]], "body": "", "call": "s3.presigned_" + r[0]}) + "\n")
print(len(out))
