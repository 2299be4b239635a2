package aws

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const signedFor = "AWS4-HMAC-SHA256 Credential=any/20260102/eu-west-1/%/aws4_request, SignedHeaders=host, Signature=00"

// ask reads one request; the scope of its signature is for a service of eu-west-1.
func ask(t testing.TB, service, method, target string, body string, headers ...string) (*call, error) {
	t.Helper()
	h := head{Method: method, Header: http.Header{"X-Amz-Security-Token": {"THE-TOKEN"}}}
	if service != "" {
		h.Header.Set("Authorization", strings.Replace(signedFor, "%", service, 1))
	}
	h.Path, h.Query, _ = strings.Cut(target, "?")
	for i := 0; i+1 < len(headers); i += 2 {
		h.Header.Add(headers[i], headers[i+1])
	}
	r, err := tableOf(t).route(h)
	if err != nil {
		return nil, err
	}
	return understand(r, []byte(body), here)
}

func asked(c *call) []string {
	var list []string
	for _, t := range c.touches {
		list = append(list, t.action+" "+t.arn)
	}
	return list
}

// TestWhatIsReadTwoWaysIsRefused: a request that a backend, or what stands before it, could read otherwise.
func TestWhatIsReadTwoWaysIsRefused(t *testing.T) {
	const jsonType = "application/x-amz-json-1.0"
	get := []string{"X-Amz-Target", "DynamoDB_20120810.GetItem", "Content-Type", jsonType}
	for _, c := range []struct {
		name, service, method, target, body string
		headers                             []string
	}{
		{"dot segments in a key", "s3", "GET", "/reports/a/../secret", "", nil},
		{"encoded dot segments", "s3", "GET", "/reports/a/%2e%2e/secret", "", nil},
		{"dot segments behind encoded slashes", "s3", "GET", "/reports/a%2F..%2Fsecret", "", nil},
		{"dot segments behind backslashes", "s3", "GET", `/reports/a%5C..%5Csecret`, "", nil},
		{"NUL in a key", "s3", "GET", "/reports/a%00.json", "", nil},
		{"a key that is no UTF-8", "s3", "GET", "/reports/%ff", "", nil},
		{"an overlong slash", "s3", "GET", "/reports/a%c0%afb", "", nil},
		{"a broken escape", "s3", "GET", "/reports/%zz", "", nil},
		{"a sub-resource twice", "s3", "GET", "/reports/a?versionId=1&versionId=2", "", []string{"want", "opaque"}},
		{"a sub-resource that is not known", "s3", "GET", "/reports/a?newThing", "", []string{"want", "opaque"}},
		{"two sub-resources", "s3", "GET", "/reports/a?acl&tagging", "", []string{"want", "opaque"}},
		{"a bucket that could be a service", "s3", "PUT", "/v20180820/bucket/x", "", nil},
		{"a bucket of another's naming", "s3", "GET", "/Reports%2Fx", "", nil},
		{"a directory bucket", "s3", "GET", "/x--euw1-az1--x-s3/a", "", nil},
		{"two copy sources", "s3", "PUT", "/reports/a", "", []string{"X-Amz-Copy-Source", "a1b/b", "X-Amz-Copy-Source", "a1b/c"}},
		{"a copy source with two versions", "s3", "PUT", "/reports/a", "", []string{"X-Amz-Copy-Source", "abc/b?versionId=1&versionId=2"}},
		{"a version inside of a copy source's escapes", "s3", "PUT", "/reports/a", "", []string{"X-Amz-Copy-Source", "abc/b%3FversionId=1"}},
		{"a copy source with dot segments", "s3", "PUT", "/reports/a", "", []string{"X-Amz-Copy-Source", "abc/../xyz/b"}},
		{"keys to delete that cannot be read", "s3", "POST", "/reports?delete", "<Delete><Object><Key>a/../b</Key></Object></Delete>", nil},
		{"an entity in XML", "s3", "POST", "/reports?delete", `<!DOCTYPE x [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>`, nil},
		{"a member twice", "dynamodb", "POST", "/", `{"TableName":"a","TableName":"b"}`, get},
		{"JSON that is no object", "dynamodb", "POST", "/", `["a"]`, get},
		{"JSON with something behind", "dynamodb", "POST", "/", `{"TableName":"a"} {"TableName":"b"}`, get},
		{"JSON that is no UTF-8", "dynamodb", "POST", "/", "{\"TableName\":\"\xff\"}", get},
		{"parameters that are packed", "dynamodb", "POST", "/", `{"TableName":"a"}`, append(slices.Clone(get), "Content-Encoding", "gzip")},
		{"parameters in other characters", "dynamodb", "POST", "/", `{"TableName":"a"}`, []string{"X-Amz-Target", "DynamoDB_20120810.GetItem", "Content-Type", jsonType + "; charset=utf-16"}},
		{"a target twice", "dynamodb", "POST", "/", `{}`, append(slices.Clone(get), "X-Amz-Target", "DynamoDB_20120810.PutItem")},
		{"a target and another protocol", "dynamodb", "POST", "/", `{}`, append(slices.Clone(get), "Smithy-Protocol", "rpc-v2-cbor")},
		{"a target in a form", "sqs", "POST", "/", `Action=ListQueues`, []string{"X-Amz-Target", "AmazonSQS.ListQueues", "Content-Type", "application/x-www-form-urlencoded"}},
		{"a target with a query", "sqs", "POST", "/?Action=DeleteQueue", `{}`, []string{"X-Amz-Target", "AmazonSQS.ListQueues", "Content-Type", jsonType}},
		{"an action twice", "sts", "POST", "/", "Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"an action in the query and in the body", "sts", "POST", "/?Action=GetCallerIdentity&Version=2011-06-15", "Action=AssumeRole&Version=2011-06-15", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a parameter that is a value and a structure", "iam", "POST", "/", "Action=GetRole&Version=2010-05-08&RoleName=a&RoleName.x=b", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"a queue of another account", "sqs", "POST", "/", `{"QueueUrl":"http://h/999999999999/jobs"}`, []string{"X-Amz-Target", "AmazonSQS.ReceiveMessage", "Content-Type", jsonType}},
		{"a queue URL with escapes", "sqs", "POST", "/", `{"QueueUrl":"http://h/123456789012/jo%62s"}`, []string{"X-Amz-Target", "AmazonSQS.ReceiveMessage", "Content-Type", jsonType}},
		{"a queue URL with more to it", "sqs", "POST", "/", `{"QueueUrl":"http://h/123456789012/jobs?x"}`, []string{"X-Amz-Target", "AmazonSQS.ReceiveMessage", "Content-Type", jsonType}},
		{"a table by an ARN of something else", "dynamodb", "POST", "/", `{"TableName":"arn:aws:s3:::table/x"}`, get},
		{"a function with two versions", "lambda", "POST", "/2015-03-31/functions/refund:1/invocations?Qualifier=2", "", nil},
		{"a path that is another operation's once decoded", "lambda", "GET", "/2015-03-31/functions/refund%2Fpolicy", "", nil},
		{"a statement with a query inside", "dynamodb", "POST", "/", `{"Statement":"SELECT * FROM a WHERE x IN (SELECT y FROM b)"}`, []string{"X-Amz-Target", "DynamoDB_20120810.ExecuteStatement", "Content-Type", jsonType}},
		{"a statement with a comment", "dynamodb", "POST", "/", `{"Statement":"SELECT * FROM a -- b"}`, []string{"X-Amz-Target", "DynamoDB_20120810.ExecuteStatement", "Content-Type", jsonType}},
		{"an item of a transaction that is none", "dynamodb", "POST", "/", `{"TransactItems":[{"Put":{"TableName":"a"},"Update":{"TableName":"b"}}]}`, []string{"X-Amz-Target", "DynamoDB_20120810.TransactWriteItems", "Content-Type", jsonType}},
		{"a header of a condition key twice", "s3", "PUT", "/reports/a", "", []string{"X-Amz-Acl", "private", "X-Amz-Acl", "public-read"}},
		{"no signature", "", "GET", "/reports/a", "", nil},
		{"two signatures", "s3", "GET", "/reports/a?X-Amz-Signature=1&X-Amz-Credential=any/20260102/eu-west-1/s3/aws4_request", "", nil},
		{"a presigned URL without an end", "", "GET", "/reports/a?X-Amz-Signature=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=any/20260102/eu-west-1/s3/aws4_request&X-Amz-Date=20260102T030405Z", "", nil},
		{"a presigned URL for a year", "", "GET", "/reports/a?X-Amz-Signature=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=any/20260102/eu-west-1/s3/aws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=31536000", "", nil},
		{"a region that the connection does not name", "", "GET", "/reports/a", "", []string{"Authorization", "AWS4-HMAC-SHA256 Credential=any/20260102/us-west-2/s3/aws4_request, Signature=0"}},
		{"regions, one of which the connection does not name", "", "GET", "/reports/a", "", []string{"X-Amz-Region-Set", "eu-west-1,*", "Authorization", "AWS4-ECDSA-P256-SHA256 Credential=any/20260102/s3/aws4_request, Signature=0"}},
		{"a service that is not known", "newthing", "POST", "/", "{}", []string{"want", "opaque"}},
		{"an operation that is not known", "dynamodb", "POST", "/", "{}", []string{"X-Amz-Target", "DynamoDB_20120810.ReadAll", "Content-Type", jsonType, "want", "opaque"}},
		{"an operation of another service", "sqs", "POST", "/", "{}", []string{"X-Amz-Target", "DynamoDB_20120810.GetItem", "Content-Type", jsonType, "want", "opaque"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			call, err := ask(t, c.service, c.method, c.target, c.body, c.headers...)
			if slices.Contains(c.headers, "opaque") {
				if err != nil || len(call.touches) != 1 || call.touches[0].action != opaqueAction {
					t.Fatalf("want one %s, got %v, %v", opaqueAction, call, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("it was understood as %v", asked(call))
			}
		})
	}
}

// TestCallsByOtherWays: requests that the captured clients do not send.
func TestCallsByOtherWays(t *testing.T) {
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		name, service, method, target, body string
		headers                             []string
		want                                string
	}{
		{"a form of before SQS spoke JSON", "sqs", "POST", "/123456789012/jobs", "Action=SendMessage&Version=2012-11-05&MessageBody=x", form, "sqs:SendMessage arn:aws:sqs:eu-west-1:123456789012:jobs"},
		{"a form in the query", "sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", nil, "sts:GetCallerIdentity arn:aws:sts:eu-west-1:123456789012:*"},
		{"lists in a form", "monitoring", "POST", "/", "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=a", form, "cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a"},
		{"CBOR", "monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "\xa1\x6aAlarmNames\x81\x61a", []string{"Smithy-Protocol", "rpc-v2-cbor", "Content-Type", "application/cbor"}, "cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a"},
		{"a stack's version decides the service", "elasticloadbalancing", "POST", "/", "Action=DescribeLoadBalancers&Version=2015-12-01", form, "elasticloadbalancing:DescribeLoadBalancers arn:aws:elasticloadbalancing:eu-west-1:123456789012:*"},
		{"buckets behind access points", "s3", "GET", "/arn:aws:s3:eu-west-1:123456789012:accesspoint%2Freports-ap/a/b", "", nil, "s3:GetObject arn:aws:s3:eu-west-1:123456789012:accesspoint/reports-ap/object/a/b"},
		{"an ARN with slashes in a path", "lambda", "GET", "/2017-03-31/tags/arn:aws:lambda:eu-west-1:123456789012:function:f", "", nil, "lambda:ListTags arn:aws:lambda:eu-west-1:123456789012:function:f"},
		{"a resource that no row of the table knows", "kinesis", "POST", "/", `{"ResourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/s"}`, []string{"X-Amz-Target", "Kinesis_20131202.GetResourcePolicy", "Content-Type", "application/x-amz-json-1.1"}, "kinesis:GetResourcePolicy arn:aws:kinesis:eu-west-1:123456789012:stream/s"},
		{"a key that ends in slashes", "s3", "GET", "/reports//", "", nil, "s3:GetObject arn:aws:s3:::reports//"},
		{"REST beside a Query service of one signing name", "ses", "GET", "/v2/email/account", "", nil, "ses:GetAccount arn:aws:ses:eu-west-1:123456789012:*"},
		{"a bucket with an ACL", "s3", "PUT", "/reports", "", []string{"X-Amz-Acl", "public-read"}, "s3:CreateBucket arn:aws:s3:::reports; s3:PutBucketAcl arn:aws:s3:::reports"},
		{"an upload of what is packed", "s3", "POST", "/reports/a?uploads", "", []string{"Content-Encoding", "gzip", "Content-Type", "text/plain; charset=latin1"}, "s3:PutObject arn:aws:s3:::reports/a"},
		{"a bucket with a slash", "s3", "GET", "/reports/", "", nil, "s3:ListBucket arn:aws:s3:::reports"},
	} {
		t.Run(c.name, func(t *testing.T) {
			call, err := ask(t, c.service, c.method, c.target, c.body, c.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(asked(call), "; "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestEveryOperationHasAName: what policy can name is what calls are called.
func TestEveryOperationHasAName(t *testing.T) {
	names := tableOf(t).actionNames()
	if len(names) < 15_000 {
		t.Fatalf("only %d actions", len(names))
	}
	for _, want := range []string{"dynamodb:GetItem", "sqs:SendMessage", "s3:GetObject", "lambda:InvokeFunction", "secretsmanager:GetSecretValue", "cloudwatch:PutMetricData"} {
		if _, found := slices.BinarySearch(names, want); !found {
			t.Errorf("%s is missing", want)
		}
	}
}

// TestStatementKeepsSecretsOut: what the record may not hold is marked.
func TestStatementKeepsSecretsOut(t *testing.T) {
	call, err := ask(t, "secretsmanager", "POST", "/", `{"SecretId":"db","SecretString":"CANARY"}`, "X-Amz-Target", "secretsmanager.PutSecretValue", "Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		t.Fatal(err)
	}
	st := call.statement(false)
	at := strings.Index(st.Text, `"CANARY"`)
	if at < 0 || len(st.Secrets) != 1 || st.Secrets[0].Start != at || st.Secrets[0].End != at+8 {
		t.Errorf("the secret stands at %d, marked is %v", at, st.Secrets)
	}
	if strings.Contains(st.Normal, "CANARY") {
		t.Error("the normal form holds values")
	}
	call, err = ask(t, "dynamodb", "POST", "/", `{"TableName":"t","Item":{"email":{"S":"CANARY"}}}`, "X-Amz-Target", "DynamoDB_20120810.PutItem", "Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		t.Fatal(err)
	}
	if st = call.statement(true); len(st.Secrets) != 1 || st.Text[st.Secrets[0].Start:st.Secrets[0].End] != `"CANARY"` {
		t.Errorf("masked: marked is %v in %s", st.Secrets, st.Text)
	}
	if !strings.Contains(st.Text, `"TableName":"t"`) {
		t.Errorf("the table is not said: %s", st.Text)
	}
	other, err := ask(t, "dynamodb", "POST", "/", `{"TableName":"u","Item":{"email":{"S":"CANARY"}}}`, "X-Amz-Target", "DynamoDB_20120810.PutItem", "Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		t.Fatal(err)
	}
	if other.statement(true).Fingerprint == st.Fingerprint {
		t.Error("two tables have one fingerprint: a grant for one would be one for the other")
	}
}

func FuzzUnderstand(f *testing.F) {
	for _, c := range readCaptured(f, "testdata/captured/boto3.jsonl") {
		h, body := c.head(f)
		f.Add(h.Method, h.Path, h.Query, h.Header.Get("X-Amz-Target"), h.Header.Get("Content-Type"), h.Header.Get("Authorization"), body)
	}
	m := tableOf(f)
	f.Fuzz(func(t *testing.T, method, path, query, target, kind, authorization string, body []byte) {
		h := head{Method: method, Path: path, Query: query, Header: http.Header{}}
		for name, v := range map[string]string{"X-Amz-Target": target, "Content-Type": kind, "Authorization": authorization} {
			if v != "" {
				h.Header.Set(name, v)
			}
		}
		r, err := m.route(h)
		if err != nil {
			return
		}
		c, err := understand(r, body, here)
		if err != nil {
			return
		}
		if len(c.touches) == 0 {
			t.Fatal("understood, but it does nothing")
		}
		st := c.statement(true)
		for _, s := range st.Secrets {
			if s.Start < 0 || s.End > len(st.Text) || s.Start > s.End {
				t.Fatalf("span %v of %d", s, len(st.Text))
			}
		}
	})
}
