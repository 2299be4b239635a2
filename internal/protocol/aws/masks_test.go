package aws

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/mask"
)

// policies are masks of resources, as a policy would say them.
type policies map[string]access.DocumentMasks

func (policies) Field(string) (access.Mask, bool) { return access.Mask{}, false }
func (policies) Fields() bool                     { return false }
func (policies) Detect() []access.Detection       { return nil }
func (p policies) Document(resource string, way access.Way) access.DocumentMasks {
	if way == access.ToBackend {
		return p["request "+resource]
	}
	return p[resource]
}

func paths(strategy access.MaskStrategy, list ...string) access.DocumentMasks {
	var d access.DocumentMasks
	for _, p := range list {
		d.Paths = append(d.Paths, access.PathMask{Path: p, Mask: access.Mask{Strategy: strategy}})
	}
	return d
}

const orders = "acct/arn:aws:dynamodb:eu-west-1:123456789012:table/orders"

func hidden(t *testing.T, d access.DocumentMasks, items bool, in string) string {
	t.Helper()
	h, err := newHider(masks{DocumentMasks: d}, mask.NewKey([32]byte{1}), "acct")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := readTree([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if items {
		tree = h.items(tree, h.start(), "", false)
	} else {
		tree = h.tree(tree, h.start(), "")
	}
	out, err := writeTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestItemsAreMasked: attributes by path, wherever DynamoDB's answers have items.
func TestItemsAreMasked(t *testing.T) {
	email := paths(access.MaskRedact, "**.email")
	null := paths(access.MaskNull, "$.Item.email")
	whole := access.DocumentMasks{Whole: &access.Mask{Strategy: access.MaskRedact}}
	detect := access.DocumentMasks{Detect: []access.Detection{{Entity: "EMAIL_ADDRESS", Mask: access.Mask{Strategy: access.MaskRedact}}}}
	for name, c := range map[string]struct {
		d        access.DocumentMasks
		in, want string
	}{
		"an item":        {email, `{"Item":{"id":{"S":"1"},"email":{"S":"C"}}}`, `{"Item":{"id":{"S":"1"},"email":{"S":"[redacted]"}}}`},
		"in any case":    {email, `{"Item":{"Email":{"S":"C"}}}`, `{"Item":{"Email":{"S":"[redacted]"}}}`},
		"a number":       {email, `{"Item":{"email":{"N":"17"}}}`, `{"Item":{"email":{"S":"[redacted]"}}}`},
		"a map":          {email, `{"Item":{"email":{"M":{"a":{"S":"C"}}}}}`, `{"Item":{"email":{"S":"[redacted]"}}}`},
		"in a map":       {email, `{"Item":{"a":{"M":{"email":{"S":"C"}}}}}`, `{"Item":{"a":{"M":{"email":{"S":"[redacted]"}}}}}`},
		"in a list":      {email, `{"Item":{"a":{"L":[{"M":{"email":{"S":"C"}}},{"S":"x"}]}}}`, `{"Item":{"a":{"L":[{"M":{"email":{"S":"[redacted]"}}},{"S":"x"}]}}}`},
		"null":           {null, `{"Item":{"email":{"S":"C"}}}`, `{"Item":{"email":{"NULL":true}}}`},
		"many":           {email, `{"Items":[{"email":{"S":"C"}}],"LastEvaluatedKey":{"email":{"S":"C"}}}`, `{"Items":[{"email":{"S":"[redacted]"}}],"LastEvaluatedKey":{"email":{"S":"[redacted]"}}}`},
		"an element":     {paths(access.MaskRedact, "$.Items[1].a"), `{"Items":[{"a":{"S":"x"}},{"a":{"S":"C"}}]}`, `{"Items":[{"a":{"S":"x"}},{"a":{"S":"[redacted]"}}]}`},
		"a batch":        {email, `{"Responses":{"Item":[{"email":{"S":"C"}}]},"UnprocessedKeys":{"t":{"Keys":[{"email":{"S":"C"}}]}}}`, `{"Responses":{"Item":[{"email":{"S":"[redacted]"}}]},"UnprocessedKeys":{"t":{"Keys":[{"email":{"S":"[redacted]"}}]}}}`},
		"a transaction":  {email, `{"Responses":[{"Item":{"email":{"S":"C"}}}]}`, `{"Responses":[{"Item":{"email":{"S":"[redacted]"}}}]}`},
		"a failure":      {email, `{"__type":"x","message":"m","Item":{"email":{"S":"C"}}}`, `{"__type":"x","message":"m","Item":{"email":{"S":"[redacted]"}}}`},
		"reasons":        {email, `{"CancellationReasons":[{"Code":"c","Item":{"email":{"S":"C"}}}]}`, `{"CancellationReasons":[{"Code":"c","Item":{"email":{"S":"[redacted]"}}}]}`},
		"a stream":       {email, `{"Records":[{"dynamodb":{"NewImage":{"email":{"S":"C"}},"OldImage":{"email":{"S":"C"}},"Keys":{"id":{"S":"1"}}}}]}`, `{"Records":[{"dynamodb":{"NewImage":{"email":{"S":"[redacted]"}},"OldImage":{"email":{"S":"[redacted]"}},"Keys":{"id":{"S":"1"}}}}]}`},
		"metrics":        {email, `{"ItemCollectionMetrics":{"t":[{"ItemCollectionKey":{"email":{"S":"C"}}}]}}`, `{"ItemCollectionMetrics":{"t":[{"ItemCollectionKey":{"email":{"S":"[redacted]"}}}]}}`},
		"a whole":        {whole, `{"Item":{"id":{"S":"C"},"a":{"M":{"b":{"N":"1"}}}}}`, `{"Item":{"id":{"S":"[redacted]"},"a":{"S":"[redacted]"}}}`},
		"sets":           {paths(access.MaskRedact, "$.Item.a[1]"), `{"Item":{"a":{"NS":["1","2"]}}}`, `{"Item":{"a":{"NS":["1","0"]}}}`},
		"a detector":     {detect, `{"Item":{"note":{"S":"to ada@example.com"}}}`, `{"Item":{"note":{"S":"to [redacted]"}}}`},
		"no value":       {email, `{"Item":{"a":"C"}}`, `{"Item":{"a":{"S":"[redacted]"}}}`},
		"names of types": {paths(access.MaskRedact, "$.Item.S"), `{"Item":{"S":{"S":"C"},"M":{"M":{"S":{"S":"x"}}}}}`, `{"Item":{"S":{"S":"[redacted]"},"M":{"M":{"S":{"S":"x"}}}}}`},
	} {
		t.Run(name, func(t *testing.T) { sameJSON(t, hidden(t, c.d, true, c.in), c.want) })
	}
}

// TestMessagesAreMasked: paths go on inside of bodies that are JSON, and checksums stay right.
func TestMessagesAreMasked(t *testing.T) {
	out := hidden(t, paths(access.MaskRedact, "$.Messages[*].Body.email"), false,
		`{"Messages":[{"Body":"{\"email\":\"C\",\"n\":1}","MD5OfBody":"x","MD5OfMessageAttributes":"y"},{"Body":"plain","MD5OfBody":"z"},{"Body":"{\"email\":\"C\"","MD5OfBody":"z"}]}`)
	var got struct {
		Messages []struct{ Body, MD5OfBody, MD5OfMessageAttributes string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`{"email":"[redacted]","n":1}`, "plain", "[redacted]"} {
		sum := md5.Sum([]byte(want))
		if m := got.Messages[i]; m.Body != want || m.MD5OfBody != hex.EncodeToString(sum[:]) || m.MD5OfMessageAttributes != "" {
			t.Errorf("%+v, want %s", m, want)
		}
	}
	sameJSON(t, hidden(t, paths(access.MaskRedact, "**.password"), false, `{"SecretString":"{\"user\":\"u\",\"password\":\"C\"}","SecretBinary":"Qw=="}`),
		`{"SecretString":"{\"password\":\"[redacted]\",\"user\":\"u\"}","SecretBinary":"W3JlZGFjdGVkXQ=="}`)
	sameJSON(t, hidden(t, paths(access.MaskRedact, "**.email"), false, `{"Messages":[{"Body":"{\"Message\":\"{\\\"email\\\":\\\"C\\\"}\"}"}]}`),
		`{"Messages":[{"Body":"{\"Message\":\"{\\\"email\\\":\\\"[redacted]\\\"}\"}"}]}`)
}

// TestAttacksByDocumentsInTexts: what is masked does not pass in a document that stands in a text, however it is written there.
func TestAttacksByDocumentsInTexts(t *testing.T) {
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const plain = `{"email":"CANARY","n":1}`
	deep := plain
	for range maxInner + 2 {
		deep = `{"payload":` + quote(deep) + `}`
	}
	for name, text := range map[string]string{
		"an object":               plain,
		"a text of JSON":          quote(plain),
		"twice a text of JSON":    quote(quote(plain)),
		"an envelope":             `{"Type":"Notification","Message":` + quote(plain) + `}`,
		"an envelope of one":      `{"detail":` + quote(`{"Message":`+quote(plain)+`}`) + `}`,
		"in a list":               `[` + quote(plain) + `]`,
		"a mark before it":        "\ufeff" + plain,
		"a member twice":          `{"email":"CANARY","email":"x"}`,
		"a member twice, inside":  `{"payload":` + quote(`{"email":"CANARY","email":"x"}`) + `}`,
		"lines, inside":           `{"payload":` + quote(plain+"\n"+plain) + `}`,
		"with a comma too many":   `{"email":"CANARY",}`,
		"with other quotes":       `{'email':'CANARY'}`,
		"a list of no numbers":    `[NaN,{"email":"CANARY"}]`,
		"a text with more behind": quote(plain) + " x",
		"very deep":               deep,
	} {
		t.Run(name, func(t *testing.T) {
			for in, items := range map[string]bool{`{"Messages":[{"Body":` + quote(text) + `}]}`: false, `{"Item":{"note":{"S":` + quote(text) + `}}}`: true,
				`{"events":[{"message":` + quote(text) + `}]}`: false} {
				out := hidden(t, paths(access.MaskRedact, "**.email"), items, in)
				if strings.Contains(out, "CANARY") || !strings.Contains(out, "[redacted]") {
					t.Errorf("%s became %s", in, out)
				}
			}
		})
	}
	for _, text := range []string{"[INFO] nothing", `"said" he`, "plain", "1", `{"n":1}`, `["a"]`} {
		in := `{"Messages":[{"Body":` + quote(text) + `}]}`
		sameJSON(t, hidden(t, paths(access.MaskRedact, "**.email"), false, in), in)
	}
	in := `{"Messages":[{"Attributes":{"x":"{not json"},"Body":"{}"}]}`
	sameJSON(t, hidden(t, paths(access.MaskRedact, "$.Messages[*].Body.email"), false, in), in)
}

// TestAttacksOnMaskedItems: calls that would tell of a masked attribute are refused before they are sent.
func TestAttacksOnMaskedItems(t *testing.T) {
	p := policies{orders: paths(access.MaskRedact, "**.email", "$.Items[*].card")}
	const table = `"TableName":"orders"`
	for _, c := range []struct {
		operation, body string
		refused         bool
	}{
		{"Scan", `{` + table + `,"FilterExpression":"email = :e"}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"begins_with ( #e , :e)","ExpressionAttributeNames":{"#e":"email"}}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"#a.#b = :e","ExpressionAttributeNames":{"#a":"contact","#b":"EMAIL"}}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"size(card) > :e"}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"contact.email = :e"}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"#x = :e"}`, true},
		{"Scan", `{` + table + `,"FilterExpression":"total = :e"}`, false},
		{"Scan", `{` + table + `,"FilterExpression":"total = :email"}`, false},
		{"Scan", `{` + table + `,"FilterExpression":"a ~ b"}`, true},
		{"Scan", `{` + table + `,"ScanFilter":{"email":{"ComparisonOperator":"EQ"}}}`, true},
		{"Scan", `{` + table + `,"ProjectionExpression":"email"}`, false},
		{"Query", `{` + table + `,"KeyConditionExpression":"email = :e"}`, true},
		{"Query", `{` + table + `,"KeyConditions":{"email":{}}}`, true},
		{"Query", `{` + table + `,"IndexName":"by-email","KeyConditionExpression":"email = :e"}`, true},
		{"GetItem", `{` + table + `,"Key":{"email":{"S":"x"}}}`, true},
		{"GetItem", `{` + table + `,"Key":{"id":{"S":"x"}}}`, false},
		{"PutItem", `{` + table + `,"Item":{"email":{"S":"x"}}}`, false},
		{"PutItem", `{` + table + `,"Item":{"email":{"S":"x"}},"ConditionExpression":"card = :c"}`, true},
		{"PutItem", `{` + table + `,"Item":{"id":{"S":"x"}},"Expected":{"email":{"Exists":true}}}`, true},
		{"UpdateItem", `{` + table + `,"Key":{"id":{"S":"x"}},"UpdateExpression":"SET email = :e"}`, false},
		{"UpdateItem", `{` + table + `,"Key":{"id":{"S":"x"}},"UpdateExpression":"SET x = email"}`, true},
		{"UpdateItem", `{` + table + `,"Key":{"id":{"S":"x"}},"UpdateExpression":"set a = :a, x = if_not_exists(email, :a)"}`, true},
		{"UpdateItem", `{` + table + `,"Key":{"id":{"S":"x"}},"UpdateExpression":"SET email = :a, x = :b REMOVE card"}`, false},
		{"UpdateItem", `{` + table + `,"Key":{"id":{"S":"x"}},"UpdateExpression":"SET x = #e","ExpressionAttributeNames":{"#e":"card"}}`, true},
		{"BatchGetItem", `{"RequestItems":{"orders":{"Keys":[{"email":{"S":"x"}}]}}}`, true},
		{"BatchWriteItem", `{"RequestItems":{"orders":[{"DeleteRequest":{"Key":{"email":{"S":"x"}}}}]}}`, true},
		{"TransactWriteItems", `{"TransactItems":[{"ConditionCheck":{` + table + `,"Key":{"id":{"S":"1"}},"ConditionExpression":"email = :e"}}]}`, true},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{` + table + `,"Item":{"id":{"S":"1"}}}}]}`, false},
		{"ExecuteStatement", `{"Statement":"SELECT id FROM orders WHERE email = 'x'"}`, true},
		{"BatchExecuteStatement", `{"Statements":[{"Statement":"SELECT id FROM orders"}]}`, true},
		{"ExportTableToPointInTime", `{"TableArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders","S3Bucket":"mine"}`, true},
		{"Scan", `{"TableName":"other","FilterExpression":"email = :e"}`, false},
		{"Scan", `{"TableName":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders","FilterExpression":"email = :e"}`, true},
	} {
		call, err := ask(t, "dynamodb", "POST", "/", c.body, "X-Amz-Target", "DynamoDB_20120810."+c.operation, "Content-Type", "application/x-amz-json-1.0")
		if err != nil {
			t.Errorf("%s %s: %v", c.operation, c.body, err)
			continue
		}
		if err := call.steered(call.masks(p)); (err != nil) != c.refused || err != nil && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s %s: %v", c.operation, c.body, err)
		}
	}
}

// TestAttacksOnMaskedObjects: the same for objects, and for what cannot be masked at all.
func TestAttacksOnMaskedObjects(t *testing.T) {
	redact := paths(access.MaskRedact, "**.email")
	p := policies{
		"acct/arn:aws:s3:::reports/a": redact, "request acct/arn:aws:s3:::reports/b": redact,
		"acct/arn:aws:cloudwatch:eu-west-1:123456789012:%2A": redact, "acct/arn:aws:iam::123456789012:%2A": redact,
		"acct/arn:aws:kinesis:eu-west-1:123456789012:%2A": redact,
	}
	for _, c := range []struct {
		service, method, target string
		headers                 []string
		refused                 bool
	}{
		{"s3", "GET", "/reports/a", nil, false},
		{"s3", "GET", "/reports/a", []string{"Range", "bytes=0-1"}, true},
		{"s3", "GET", "/reports/a", []string{"If-Match", "x"}, true},
		{"s3", "HEAD", "/reports/a", []string{"If-None-Match", "x"}, true},
		{"s3", "GET", "/reports/a?partNumber=1", nil, true},
		{"s3", "GET", "/reports/a?attributes", []string{"X-Amz-Object-Attributes", "ETag"}, true},
		{"s3", "POST", "/reports/a?select&select-type=2", nil, true},
		{"s3", "PUT", "/reports/mine", []string{"X-Amz-Copy-Source", "reports/a"}, true},
		{"s3", "PUT", "/reports/mine?partNumber=1&uploadId=u", []string{"X-Amz-Copy-Source", "/reports/a"}, true},
		{"s3", "PUT", "/reports/a", nil, false},
		{"s3", "PUT", "/reports/b", nil, true},
		{"s3", "GET", "/reports/a?response-content-type=image/png", nil, true},
		{"kinesis", "POST", "/", []string{"X-Amz-Target", "Kinesis_20131202.GetRecords", "Content-Type", "application/x-amz-json-1.1"}, true},
		{"s3", "GET", "/reports/other", []string{"Range", "bytes=0-1"}, false},
		{"monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", []string{"Smithy-Protocol", "rpc-v2-cbor"}, true},
		{"iam", "GET", "/?Action=ListUsers&Version=2010-05-08", nil, true},
	} {
		call, err := ask(t, c.service, c.method, c.target, "", c.headers...)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		if err := call.steered(call.masks(p)); (err != nil) != c.refused {
			t.Errorf("%s %s %v: %v", c.method, c.target, c.headers, err)
		}
	}
}

// FuzzExpression: what an expression reads is listed, or the expression is refused.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"email = :e", "SET a = email", "begins_with(#e, :x)", "a.b[3].c <> :x AND NOT (d IN (:a, :b))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tokens, err := lexExpression(s)
		if err != nil {
			return
		}
		if got := strings.Join(tokens, ""); got != strings.Join(strings.Fields(s), "") && !strings.ContainsAny(s, "\t\n\r ") {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
