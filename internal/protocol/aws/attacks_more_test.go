package aws

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const formType = "application/x-www-form-urlencoded"

// TestAttackByUnreadParameters: a parameter that the operation does not have names no resource and meets no condition, whatever other
// operations call so.
func TestAttackByUnreadParameters(t *testing.T) {
	form := func(action, version, more string) string { return "Action=" + action + "&Version=" + version + more }
	for _, c := range []struct{ name, service, target, body, want string }{
		{"alarms by another's name", "monitoring", "", form("DescribeAlarms", "2010-08-01", "&AlarmName=mine"), "cloudwatch:DescribeAlarms " + in("cloudwatch", "*")},
		{"databases by a snapshot", "rds", "", form("DescribeDBInstances", "2014-10-31", "&DBSnapshotIdentifier=mine"), "rds:DescribeDBInstances " + in("rds", "*")},
		{"databases by an ARN", "rds", "", form("DescribeDBInstances", "2014-10-31", "&Mine="+in("rds", "db:mine")), "rds:DescribeDBInstances " + in("rds", "*")},
		{"the account's passwords by a user", "iam", "", form("UpdateAccountPasswordPolicy", "2010-05-08", "&UserName=mine"), "iam:UpdateAccountPasswordPolicy arn:aws:iam::123456789012:*"},
		{"log groups by a log group", "logs", "Logs_20140328.DescribeLogGroups", `{"logGroupName":"mine"}`, "logs:DescribeLogGroups " + in("logs", "*")},
		{"backups by a source", "dynamodb", "DynamoDB_20120810.ListBackups", `{"SourceTableName":"mine"}`, "dynamodb:ListBackups " + in("dynamodb", "*")},
		{"a bus beside its entries", "events", "AWSEvents.PutEvents", `{"EventBusName":"mine","Entries":[{"Source":"a"}]}`, "events:PutEvents " + in("events", "event-bus/default")},
		{"an entry without a bus", "events", "AWSEvents.PutEvents", `{"Entries":[{"EventBusName":"mine"},{"Source":"a"}]}`, "events:PutEvents " + in("events", "event-bus/default")},
		{"a random password by a secret", "secretsmanager", "secretsmanager.GetRandomPassword", `{"SecretId":"mine"}`, "secretsmanager:GetRandomPassword " + in("secretsmanager", "*")},
		{"random bytes by a key", "kms", "TrentService.GenerateRandom", `{"KeyId":"mine"}`, "kms:GenerateRandom " + in("kms", "*")},
		{"instances by a token", "ec2", "", form("RunInstances", "2016-11-15", "&ClientToken="+in("ec2", "instance/mine")), "ec2:RunInstances " + in("ec2", "*")},
		{"a repository by a tag", "ecs", "AmazonEC2ContainerServiceV20141113.CreateCluster", `{"clusterName":"x","tags":[{"key":"a","value":"` + in("ecs", "cluster/mine") + `"}]}`, "ecs:CreateCluster " + in("ecs", "*")},
		{"a table of Glue by another's ARN", "glue", "AWSGlue.GetTable", `{"Mine":"` + in("glue", "table/mine/t") + `"}`, "glue:GetTable " + in("glue", "*")},
	} {
		var call *call
		var err error
		if c.target == "" {
			call, err = ask(t, c.service, "POST", "/", c.body, "Content-Type", formType)
		} else {
			call, err = askJSON(t, c.service, c.target, c.body)
		}
		if err != nil || !slices.Contains(asked(call), c.want) {
			t.Errorf("%s: %v %v, want %s", c.name, call, err, c.want)
		}
	}
	for _, member := range []string{"cluster", "tasks"} {
		arn := in("ecs", strings.TrimSuffix(member, "s")+"/mine")
		call, err := askJSON(t, "ecs", "AmazonEC2ContainerServiceV20141113.DescribeTasks", `{"`+member+`":["`+arn+`"]}`)
		if err != nil || !slices.Equal(asked(call), []string{"ecs:DescribeTasks " + arn}) {
			t.Errorf("what a call names is not all that is asked for: %v %v", call, err)
		}
	}
	call, err := askJSON(t, "dynamodb", "DynamoDB_20120810.Scan", `{"TableName":"t","Key":{"id":{"S":"mine"}},"ReturnValues":"NONE"}`)
	if err != nil || call.keys["dynamodb:ReturnValues"] != nil {
		t.Errorf("a key that the call has not: %v %v", call.keys, err)
	}
}

// TestAttackByPassedRoles: who may pass a role may not call what it is passed to by that alone, nor what a call is from by what it is to.
func TestAttackByPassedRoles(t *testing.T) {
	for _, c := range [][4]string{
		{"glue", "AWSGlue.CreateJob", `{"Name":"j","Role":"arn:aws:iam::123456789012:role/r","Command":{}}`, "glue:CreateJob " + in("glue", "*")},
		{"kms", "TrentService.ReEncrypt", `{"CiphertextBlob":"eA==","DestinationKeyId":"mine"}`, "kms:ReEncryptFrom " + in("kms", "*")},
	} {
		call, err := askJSON(t, c[0], c[1], c[2])
		if err != nil || !slices.Contains(asked(call), c[3]) {
			t.Errorf("%s: %v %v", c[1], call, err)
		}
	}
}

// TestAttackByAgents: what a service does with the caller's permission is asked of the caller.
func TestAttackByAgents(t *testing.T) {
	secret := readSecret + " " + in("secretsmanager", "secret:db"+unknownSuffix)
	for _, c := range []struct{ service, target, body, want string }{
		{"ssm", "AmazonSSM.GetParameter", `{"Name":"/aws/reference/secretsmanager/db","WithDecryption":true}`, secret},
		{"ssm", "AmazonSSM.GetParameters", `{"Names":["mine","/aws/reference/secretsmanager/db:1"]}`, secret},
		{"ssm", "AmazonSSM.GetParameter", `{"Name":"` + in("ssm", "parameter/aws/reference/secretsmanager/db") + `"}`, secret},
		{"textract", "Textract.DetectDocumentText", `{"Document":{"S3Object":{"Bucket":"reports","Name":"secret/a"}}}`, "s3:GetObject arn:aws:s3:::reports/secret/a"},
		{"athena", "AmazonAthena.StartQueryExecution", `{"QueryString":"x","ResultConfiguration":{"OutputLocation":"S3://reports/out/"}}`, "s3:PutObject arn:aws:s3:::reports/out/"},
		{"dynamodb", "DynamoDB_20120810.ExportTableToPointInTime", `{"TableArn":"` + in("dynamodb", "table/t") + `","S3Bucket":"reports","S3Prefix":"p"}`, "s3:PutObject arn:aws:s3:::reports/p"},
	} {
		call, err := askJSON(t, c.service, c.target, c.body)
		if err != nil || !slices.Contains(asked(call), c.want) {
			t.Errorf("%s %s: %v %v", c.target, c.body, call, err)
		}
	}
	call, err := askJSON(t, "sqs", "AmazonSQS.SendMessage", `{"QueueUrl":"http://h/123456789012/jobs","MessageBody":"s3://reports/a"}`)
	if err != nil || len(call.touches) != 1 {
		t.Errorf("what a message says is asked for: %v %v", call, err)
	}
	call, err = askJSON(t, "ssm", "AmazonSSM.GetParameter", `{"Name":"/aws/reference/secretsmanager/db"}`)
	if err != nil {
		t.Fatal(err)
	}
	m := policies{"acct/" + in("secretsmanager", "secret:db"+unknownSuffix): paths(access.MaskRedact, "$.SecretString.password")}
	if call.steered(call.masks(m)) == nil {
		t.Error("a masked secret is read as a parameter")
	}
	call, err = askJSON(t, "textract", "Textract.DetectDocumentText", `{"Document":{"S3Object":{"Bucket":"reports","Name":"a"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	for prefix, refused := range map[string]bool{"acct/arn:aws:s3:::reports/": true, "acct/arn:aws:s3:::customers/": false} {
		if err := call.steered(call.masks(&below{prefix: prefix})); (err != nil) != refused {
			t.Errorf("an object below %s is read by another service: %v", prefix, err)
		}
	}
}

// TestAttackByOtherNames: statements that deny know a resource by whichever name a call has for it.
func TestAttackByOtherNames(t *testing.T) {
	for _, c := range [][4]string{
		{"ssm", "AmazonSSM.GetParameter", `{"Name":"` + in("ssm", "parameter/x:3") + `"}`, in("ssm", "parameter/x")},
		{"stepfunctions", "AWSStepFunctions.StartExecution", `{"stateMachineArn":"` + in("states", "stateMachine:m:prod") + `"}`, in("states", "stateMachine:m")},
		{"logs", "Logs_20140328.GetLogEvents", `{"logGroupName":"g","logStreamName":"s"}`, in("logs", "log-group:g:log-stream:s")},
		{"logs", "Logs_20140328.GetLogEvents", `{"logGroupIdentifier":"` + in("logs", "log-group:g:*") + `"}`, in("logs", "log-group:g")},
	} {
		service := map[string]string{"stepfunctions": "states"}[c[0]]
		if service == "" {
			service = c[0]
		}
		call, err := askJSON(t, service, c[1], c[2])
		if err != nil || !slices.ContainsFunc(call.related, func(r touch) bool { return r.arn == c[3] }) {
			t.Errorf("%s %s: %v %v", c[1], c[2], call, err)
		}
	}
	call, err := ask(t, "sns", "POST", "/", "Action=Unsubscribe&Version=2010-03-31&SubscriptionArn="+in("sns", "alerts:1-2"), "Content-Type", formType)
	if err != nil || !slices.ContainsFunc(call.related, func(r touch) bool { return r.arn == in("sns", "alerts") }) {
		t.Errorf("a subscription: %v %v", call, err)
	}
}

// TestMoreThatIsReadTwoWays: what a backend could read otherwise than here.
func TestMoreThatIsReadTwoWays(t *testing.T) {
	const alarms = "Action=DescribeAlarms&Version=2010-08-01"
	for name, c := range map[string][4]string{
		"a list without its member":     {"monitoring", "", alarms + "&AlarmNames.1=mine"},
		"a number with a nought":        {"monitoring", "", alarms + "&AlarmNames.member.01=mine"},
		"a number and a name":           {"monitoring", "", alarms + "&AlarmNames.member.1=mine&AlarmNames.member.x=y"},
		"a list and something else":     {"monitoring", "", alarms + "&AlarmNames.member.1=mine&AlarmNames.x=y"},
		"an action in another case":     {"monitoring", "", alarms + "&action=DeleteAlarms"},
		"a parameter in another case":   {"sqs", "AmazonSQS.ReceiveMessage", `{"QueueUrl":"http://h/123456789012/mine","queueurl":"http://h/123456789012/secret"}`},
		"a parameter in no other case":  {"sqs", "AmazonSQS.ReceiveMessage", `{"queueUrl":"http://h/123456789012/secret"}`},
		"a query inside of an update":   {"dynamodb", "DynamoDB_20120810.ExecuteStatement", `{"Statement":"UPDATE a SET x = (SELECT y FROM b)"}`},
		"a second table behind a name":  {"dynamodb", "DynamoDB_20120810.ExecuteStatement", `{"Statement":"SELECT * FROM a AS x, b"}`},
		"another queue behind its path": {"sqs", "", "Action=ReceiveMessage&Version=2012-11-05&QueueUrl=http://h/123456789012/secret?/123456789012/mine", "/123456789012/mine"},
	} {
		path, headers := "/", []string{"Content-Type", formType}
		if c[3] != "" {
			path = c[3]
		}
		if c[1] != "" {
			headers = []string{"Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", c[1]}
		}
		if call, err := ask(t, c[0], "POST", path, c[2], headers...); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v %v", name, call, err)
		}
	}
	for name, c := range map[string][5]string{
		"a version twice":          {"lambda", "POST", "/2015-03-31/functions/f/invocations?Qualifier=1&Qualifier=2"},
		"a comment in a key":       {"s3", "POST", "/reports?delete", "<Delete><Object><Key>mine<!-- -->secret</Key></Object></Delete>"},
		"a new name for an object": {"s3", "PUT", "/reports/mine?renameObject", "", "/reports/secret"},
		"a restore to elsewhere":   {"s3", "POST", "/reports/a?restore", "<RestoreRequest><OutputLocation><S3><BucketName>mine</BucketName></S3></OutputLocation></RestoreRequest>"},
	} {
		if call, err := ask(t, c[0], c[1], c[2], c[3], "X-Amz-Rename-Source", c[4]); c[4] != "" && fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v %v", name, call, err)
		}
		if call, err := ask(t, c[0], c[1], c[2], c[3]); c[4] == "" && fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v %v", name, call, err)
		}
	}
	if call, err := ask(t, "lambda", "DELETE", "/2017-03-31/tags/"+in("lambda", "function:f")+"?tagKeys=a&tagKeys=b", ""); err != nil || call.operation == nil {
		t.Errorf("a list in the query: %v %v", call, err)
	}
}

// TestAttackOnLeadingKeys: a value that cannot be told is not left out of those that a condition looks at.
func TestAttackOnLeadingKeys(t *testing.T) {
	for _, c := range [][2]string{
		{"GetItem", `{"TableName":"t","Key":{"id":{"S":"secret","N":null},"at":{"S":"mine"}}}`},
		{"BatchGetItem", `{"RequestItems":{"t":{"Keys":[{"id":{"S":"mine"}},{"id":{"S":"secret","N":null}}]}}}`},
		{"Query", `{"TableName":"t","KeyConditionExpression":"id = :a AND at = :b","ExpressionAttributeValues":{":a":{"S":"secret","N":null},":b":{"S":"mine"}}}`},
		{"Query", `{"TableName":"t","KeyConditionExpression":"(id = (:a)) AND at = :b","ExpressionAttributeValues":{":a":{"S":"secret"},":b":{"S":"mine"}}}`},
	} {
		call, err := askJSON(t, "dynamodb", "DynamoDB_20120810."+c[0], c[1])
		if err != nil || call.keys["dynamodb:LeadingKeys"] != nil {
			t.Errorf("%s: %v %v", c[1], call.keys, err)
		}
	}
}

// TestRegionsOfOneCall: a call that may be carried out in several regions is for none of them alone.
func TestRegionsOfOneCall(t *testing.T) {
	everywhere := here
	everywhere.regions = []string{"*", "us-east-1"}
	for regions, want := range map[string]any{"*": nil, "eu-west-1,us-east-1": nil, "eu-west-1": "eu-west-1"} {
		h := head{Method: "GET", Path: "/reports/a", Header: http.Header{"X-Amz-Region-Set": {regions}, "Authorization": {"AWS4-ECDSA-P256-SHA256 Credential=any/20260102/s3/aws4_request, Signature=0"}}}
		r, err := tableOf(t).route(h)
		if err != nil {
			t.Fatal(err)
		}
		call, err := understand(r, nil, everywhere)
		if err != nil || call.keys["aws:RequestedRegion"] != want {
			t.Errorf("%s: %v %v", regions, call.keys, err)
		}
	}
}

// TestAttacksOnMaskedBuckets: what tells of masked objects beside their bodies: other names of their bucket, digests and lengths.
func TestAttacksOnMaskedBuckets(t *testing.T) {
	masked := &below{prefix: "acct/arn:aws:s3:::reports/", policies: policies{"acct/arn:aws:s3:::reports/a": paths(access.MaskRedact, "**.email")}}
	for _, c := range []struct {
		method, target, body string
		headers              []string
		refused              bool
	}{
		{"GET", "/arn:aws:s3:eu-west-1:123456789012:accesspoint%2Freports-ap/a", "", nil, true},
		{"GET", "/arn:aws:s3::123456789012:accesspoint%2Fx.mrap/a", "", nil, true},
		{"GET", "/reports-abcdefghij-s3alias/a", "", nil, true},
		{"PUT", "/mine/a", "", []string{"X-Amz-Copy-Source", "arn:aws:s3:eu-west-1:123456789012:accesspoint/reports-ap/object/a"}, true},
		{"GET", "/reports/b", "", nil, false},
		{"GET", "/reports/a?uploadId=u", "", nil, true},
		{"DELETE", "/reports/a", "", []string{"X-Amz-If-Match-Size", "1"}, true},
		{"POST", "/reports?delete", "<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>", nil, true},
	} {
		call, err := ask(t, "s3", c.method, c.target, c.body, c.headers...)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		if err := call.steered(call.masks(masked)); (err != nil) != c.refused {
			t.Errorf("%s %s %v: %v", c.method, c.target, c.headers, err)
		}
	}
}

// TestListingsTellNothing: of masked objects, listings say neither digest nor length; of others they say all.
func TestListingsTellNothing(t *testing.T) {
	m := &below{prefix: "acct/arn:aws:s3:::reports/", policies: policies{"acct/arn:aws:s3:::reports/a b": paths(access.MaskRedact, "**.email")}}
	const object = `<Key>%</Key><LastModified>x</LastModified><ETag>"DIGEST"</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><Size>17</Size>`
	for target, element := range map[string]string{"/reports?list-type=2": "Contents", "/reports": "Contents", "/reports?versions": "Version", "/reports?encoding-type=url&list-type=2": "Contents"} {
		call, err := ask(t, "s3", "GET", target, "")
		if err != nil {
			t.Fatal(err)
		}
		hide := call.masks(m)
		if hide.none() || call.answerForm(hide) != formList {
			t.Fatalf("%s: %+v", target, hide)
		}
		for key, hidden := range map[string]bool{"a b": true, "a+b": true, "a%20b": true, "a&#32;b": true, "<![CDATA[a b]]>": true, "c": false} {
			one := "<" + element + ">" + strings.Replace(object, "%", key, 1) + "</" + element + ">"
			other := "<" + element + ">" + strings.Replace(object, "%", "other", 1) + "</" + element + ">"
			in := "<?xml version=\"1.0\"?>\n<List xmlns=\"x\"><Name>reports</Name>" + one + other + "</List>"
			out, hits, err := unlist([]byte(in), hide.within)
			if err != nil {
				t.Fatal(err)
			}
			want, n := in, int64(0)
			if hidden {
				n = 1
				want = strings.Replace(in, one, strings.NewReplacer(`<ETag>"DIGEST"</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>`, "", "<Size>17<", "<Size>0<").Replace(one), 1)
			}
			if string(out) != want || hits != n {
				t.Errorf("%s of %s: %d\n%s\n%s", target, key, hits, out, want)
			}
		}
	}
	call, err := ask(t, "s3", "GET", "/customers?list-type=2", "")
	if err != nil || !call.masks(m).none() {
		t.Errorf("another bucket's listing: %v", err)
	}
	if _, _, err := unlist([]byte("<List><Contents>"), func(string) bool { return true }); err == nil {
		t.Error("half a list is read")
	}
}

// TestAttackOnCopySource: what is copied is sent as it was judged, whichever way its name is written.
func TestAttackOnCopySource(t *testing.T) {
	for source, want := range map[string]string{
		"/reports/a+b": "reports/a%2Bb", "reports/a%20b": "reports/a%20b", "reports/%61?versionId=7": "reports/a?versionId=7",
	} {
		call, err := ask(t, "s3", "PUT", "/mine/x", "", "X-Amz-Copy-Source", source)
		if err != nil {
			t.Fatal(err)
		}
		v := &visit{conn: &access.Connection{Name: "acct", Address: "https://s3.test", AWS: &access.AWSOptions{Account: here.account, Region: here.region, PathStyle: true}}, c: call, read: call.routed,
			r: &http.Request{Method: "PUT", Header: http.Header{}}}
		out, err := v.outgoing()
		if err != nil || out.Header.Get("X-Amz-Copy-Source") != want {
			t.Errorf("%s is sent as %s: %v", source, out.Header.Get("X-Amz-Copy-Source"), err)
		}
		plain, _, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(want, "%20", " "), "%2B", "+"), "?")
		if call.keys["s3:x-amz-copy-source"] != plain {
			t.Errorf("%s is judged as %v", source, call.keys["s3:x-amz-copy-source"])
		}
	}
}

// TestSessionNames: principals that differ have sessions that do, in names that STS takes.
func TestSessionNames(t *testing.T) {
	seen := map[string]string{}
	long := strings.Repeat("a", 300)
	for _, p := range [][2]string{{"i", "auth0|1"}, {"i", "auth0_1"}, {"i", "auth0*1"}, {"j", "auth0|1"}, {"i", long}, {"i", long + "b"}, {"i", ""}, {"", "i"}, {"ia", "b"}, {"i", "ab"}, {"i", "é"}} {
		n := sessionName(p[0], p[1])
		if other, twice := seen[n]; twice || len(n) > 64 || len(n) < 2 || strings.Trim(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@-_") != "" {
			t.Errorf("%q and %q are %q", p, other, n)
		}
		seen[n] = p[0] + " " + p[1]
	}
	if !strings.HasPrefix(sessionName("i", "refund-fn"), "refund-fn.") {
		t.Error("nobody can read whose session it is")
	}
}

// TestAttackByMoreHeaders: an approval for a model under a guardrail is none for it without.
func TestAttackByMoreHeaders(t *testing.T) {
	text := func(headers ...string) string {
		call, err := ask(t, "bedrock", "POST", "/model/m/invoke", "{}", headers...)
		if err != nil || call.operation == nil {
			t.Fatal(call, err)
		}
		return call.statement(false).Text
	}
	for _, h := range []string{"X-Amzn-Bedrock-Guardrailidentifier", "Accept", "If-Match"} {
		if text(h, "x") == text() {
			t.Errorf("%s reads as without", h)
		}
	}
	if text("X-Amzn-Trace-Id", "1") != text() {
		t.Error("what changes with each attempt is part of the call")
	}
}

// TestRowsAreCounted: each item, message or object of an answer is one.
func TestRowsAreCounted(t *testing.T) {
	for _, c := range []struct {
		dialect dialect
		body    string
		want    int64
	}{
		{dialectJSON, `{"Items":[{"a":{"L":[{"S":"x"},{"S":"y"}]}},{},{}],"Count":3}`, 3},
		{dialectJSON, `{"Item":{"a":{"L":[{"S":"x"},{"S":"y"}]}}}`, 1},
		{dialectJSON, `{"Responses":{"t":[{},{}],"u":[{}]},"UnprocessedKeys":{}}`, 3},
		{dialectJSON, `{"Messages":[{"Body":"x"},{"Body":"y"}]}`, 2},
		{dialectJSON, ``, 1},
		{dialectXML, `<ListBucketResult><Name>x</Name><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></ListBucketResult>`, 2},
		{dialectQuery, `<R><ReceiveMessageResult><Message><Body>a</Body></Message><Message><Body>b</Body></Message></ReceiveMessageResult></R>`, 2},
		{dialectQuery, `<R><ListUsersResult><Users><member>a</member><member>b</member><member>c</member></Users></ListUsersResult></R>`, 3},
		{dialectCBOR, "\xa1\x61a\x82\x01\x02", 2},
	} {
		v := &visit{c: &call{routed: &routed{dialect: c.dialect}}}
		resp := &http.Response{Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body))}
		n, err := v.rowsOf(resp, []byte(c.body))
		if err != nil || n != c.want {
			t.Errorf("%s: %d, want %d: %v", c.body, n, c.want, err)
		}
	}
	v := &visit{c: &call{routed: &routed{dialect: dialectJSON}}}
	if n, err := v.rowsOf(&http.Response{Header: http.Header{}}, []byte(`{"Items":[`)); fault.KindOf(err) != fault.Denied {
		t.Errorf("what cannot be counted is %d: %v", n, err)
	}
}
