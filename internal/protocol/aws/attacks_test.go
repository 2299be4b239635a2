package aws

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const account = "arn:aws:%s:eu-west-1:123456789012:"

func in(service, resource string) string { return fmt.Sprintf(account, service) + resource }

func askJSON(t testing.TB, service, target, body string) (*call, error) {
	t.Helper()
	return ask(t, service, "POST", "/", body, "X-Amz-Target", target, "Content-Type", "application/x-amz-json-1.1")
}

// TestWordsThatNobodyReads: a parameter that a service does not look at makes a call no smaller than it is.
func TestWordsThatNobodyReads(t *testing.T) {
	for _, c := range []struct {
		name, service, target, body, want string
	}{
		{"an index of an item", "dynamodb", "DynamoDB_20120810.GetItem", `{"TableName":"orders","IndexName":"mine","Key":{"id":{"S":"1"}}}`,
			"dynamodb:GetItem " + in("dynamodb", "table/orders")},
		{"an index of a query", "dynamodb", "DynamoDB_20120810.Query", `{"TableName":"orders","IndexName":"mine"}`,
			"dynamodb:Query " + in("dynamodb", "table/orders/index/mine")},
		{"a table of a list", "dynamodb", "DynamoDB_20120810.ListTables", `{"TableName":"mine"}`, "dynamodb:ListTables " + in("dynamodb", "*")},
		{"a queue of a list", "sqs", "AmazonSQS.ListQueues", `{"QueueName":"mine"}`, "sqs:ListQueues " + in("sqs", "*")},
		{"a secret besides a filter", "secretsmanager", "secretsmanager.BatchGetSecretValue", `{"SecretId":"mine","Filters":[{"Key":"name","Values":["a"]}]}`,
			"secretsmanager:GetSecretValue " + in("secretsmanager", "*")},
		{"secrets one by one", "secretsmanager", "secretsmanager.BatchGetSecretValue", `{"SecretIdList":["a"]}`,
			"secretsmanager:GetSecretValue " + in("secretsmanager", "secret:a-??????")},
		{"secrets and a filter", "secretsmanager", "secretsmanager.BatchGetSecretValue", `{"SecretIdList":["a"],"Filters":[]}`,
			"secretsmanager:GetSecretValue " + in("secretsmanager", "*")},
	} {
		call, err := askJSON(t, c.service, c.target, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := asked(call); !slices.Contains(got, c.want) {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
		if got := asked(call); slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "secret:mine-??????") }) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	stream := in("dynamodb", "table/orders/stream/1")
	for iterator, fine := range map[string]bool{stream + "|1|x": true, "000|" + stream + "|1|x": true, stream + "|" + in("dynamodb", "table/mine/stream/1"): false} {
		call, err := askJSON(t, "dynamodb", "DynamoDBStreams_20120810.GetRecords", `{"ShardIterator":"`+iterator+`"}`)
		if (err == nil) != fine || fine && !slices.Contains(asked(call), "dynamodb:GetRecords "+stream) {
			t.Errorf("%s: %v %v", iterator, call, err)
		}
	}
	call, err := ask(t, "lambda", "PUT", "/2015-03-31/functions/f/code", `{"Qualifier":"dev","ZipFile":""}`, "Content-Type", "application/json")
	if err != nil || !slices.Contains(asked(call), "lambda:UpdateFunctionCode "+in("lambda", "function:f")) {
		t.Errorf("%v %v", call, err)
	}
}

// TestPlacesOfParameters: a parameter that stands where its service does not look is refused, where it would take another's place.
func TestPlacesOfParameters(t *testing.T) {
	for _, c := range [][3]string{
		{"PUT", "/2019-09-25/functions/f/event-invoke-config?Qualifier=prod", `{"Qualifier":"dev"}`},
		{"GET", "/2015-03-31/functions", `{"FunctionName":"mine"}`},
	} {
		if call, err := ask(t, "lambda", c[0], c[1], c[2], "Content-Type", "application/json"); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%v: %v %v", c, call, err)
		}
	}
	if _, err := askJSON(t, "dynamodb", "DynamoDBStreams_20120810.GetRecords", `{"ShardIterator":"opaque"}`); fault.KindOf(err) != fault.Malformed {
		t.Errorf("a stream that nobody can tell: %v", err)
	}
}

// below are masks of resources that no call names: they begin as prefixes do, or with other things.
type below struct {
	policies
	prefix string
}

func (b *below) Below(prefix string) bool {
	return strings.HasPrefix(b.prefix, prefix) || b.prefix != "" && strings.HasPrefix(prefix, b.prefix)
}

// TestAttackByWhatIsNotNamed: what returns values of resources that it does not name is refused where any may be masked.
func TestAttackByWhatIsNotNamed(t *testing.T) {
	for _, c := range []struct {
		service, target, body string
		refused               bool
	}{
		{"secretsmanager", "secretsmanager.BatchGetSecretValue", `{"Filters":[{"Key":"name","Values":["a"]}]}`, true},
		{"secretsmanager", "secretsmanager.BatchGetSecretValue", `{"SecretIdList":["a"]}`, false},
		{"ssm", "AmazonSSM.GetParametersByPath", `{"Path":"/a","Recursive":true}`, true},
		{"ssm", "AmazonSSM.GetParameters", `{"Names":["/a/b"]}`, false},
	} {
		call, err := askJSON(t, c.service, c.target, c.body)
		if err != nil {
			t.Fatal(err)
		}
		for m, refused := range map[access.Masks]bool{
			&below{prefix: "acct/" + in(c.service, "x")}: c.refused, &below{prefix: "acct/" + in("dynamodb", "table/x")}: false, &policies{}: c.refused,
		} {
			if err := call.steered(call.masks(m)); (err != nil) != refused {
				t.Errorf("%s %s: %v", c.target, c.body, err)
			}
		}
	}
}

// TestAttacksOnMaskedParts: comparing a document that holds a masked attribute, and moving what a mask counts.
func TestAttacksOnMaskedParts(t *testing.T) {
	deep, each := policies{orders: paths(access.MaskRedact, "**.email")}, policies{orders: paths(access.MaskRedact, "$.Items[*].*.email")}
	counted := policies{orders: paths(access.MaskRedact, "**.tags[1]")}
	const values = `,"ExpressionAttributeValues":{":m":{"M":{"email":{"S":"guess"}}},":l":{"L":[]},":s":{"S":"x"}}`
	const one = `{"TableName":"orders","Key":{"id":{"S":"1"}},`
	for _, c := range []struct {
		p               policies
		operation, body string
		refused         bool
	}{
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contact = :m"` + values + `}`, true},
		{each, "Scan", `{"TableName":"orders","FilterExpression":"contact = :m"` + values + `}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"a = :s AND contains(contacts, :m)"` + values + `}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contacts <> :l"` + values + `}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contact = mine"}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contact IN (:s, mine)"` + values + `}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contains(contacts, mine)"}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"contact <> mine"}`, true},
		{deep, "Scan", `{"TableName":"orders","ScanFilter":{"contact":{"ComparisonOperator":"EQ","AttributeValueList":[{"M":{"email":{"S":"guess"}}}]}}}`, true},
		{deep, "PutItem", `{"TableName":"orders","Item":{"id":{"S":"1"}},"Expected":{"contact":{"Value":{"M":{"email":{"S":"guess"}}}}}}`, true},
		{deep, "Scan", `{"TableName":"orders","FilterExpression":"a = :s AND b IN (:s, :s) AND begins_with(c, :s) AND size(d) > :s AND :s <> e"` + values + `}`, false},
		{deep, "UpdateItem", one + `"UpdateExpression":"SET contact = :m","ConditionExpression":"a = :s"` + values + `}`, false},
		{counted, "BatchGetItem", `{"RequestItems":{"orders":{"Keys":[{"id":{"S":"1"}}],"ProjectionExpression":"tags[1]"}}}`, true},
		{counted, "TransactGetItems", `{"TransactItems":[{"Get":` + one + `"ProjectionExpression":"tags[1]"}}]}`, true},
		{counted, "UpdateItem", one + `"UpdateExpression":"REMOVE tags[0]","ReturnValues":"UPDATED_OLD"}`, true},
		{counted, "GetItem", `{"TableName":"orders","Key":{"id":{"S":"1"}}}`, false},
	} {
		call, err := askJSON(t, "dynamodb", "DynamoDB_20120810."+c.operation, c.body)
		if err != nil {
			t.Errorf("%s %s: %v", c.operation, c.body, err)
			continue
		}
		if err := call.steered(call.masks(c.p)); (err != nil) != c.refused {
			t.Errorf("%s %s: %v", c.operation, c.body, err)
		}
	}
	named := policies{strings.Replace(orders, "table/orders", "table/Item", 1): paths(access.MaskRedact, "**.email")}
	call, err := askJSON(t, "dynamodb", "DynamoDB_20120810.BatchGetItem", `{"RequestItems":{"Item":{"Keys":[{"email":{"S":"x"}}]}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if call.steered(call.masks(named)) == nil {
		t.Error("a table that is called as a parameter is hides the attributes that are read")
	}
}

// TestAttackByConditionalWrites: whether a guess of a masked object's digest is right does not show in writes either.
func TestAttackByConditionalWrites(t *testing.T) {
	p := policies{"acct/arn:aws:s3:::reports/a": paths(access.MaskRedact, "**.email")}
	for _, c := range []struct {
		method, target, body string
		headers              []string
		refused              bool
	}{
		{"PUT", "/reports/a", "", []string{"If-Match", "x"}, true},
		{"DELETE", "/reports/a", "", []string{"If-Match", "x"}, true},
		{"PUT", "/reports/a", "", []string{"If-None-Match", "*"}, false},
		{"POST", "/reports?delete", `<Delete><Object><Key>a</Key><ETag>x</ETag></Object></Delete>`, nil, true},
		{"POST", "/reports?delete", `<Delete><Object><Key>b</Key></Object><Object><Key>a</Key><ETag>x</ETag></Object></Delete>`, nil, true},
		{"POST", "/reports?delete", `<Delete><Object><Key>a</Key></Object></Delete>`, nil, false},
	} {
		call, err := ask(t, "s3", c.method, c.target, c.body, c.headers...)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		if err := call.steered(call.masks(p)); (err != nil) != c.refused {
			t.Errorf("%s %s %s: %v", c.method, c.target, c.body, err)
		}
	}
}

// TestAttackByManyNames: a call that names very many resources, or asks whether something exists in itself, is refused soon.
func TestAttackByManyNames(t *testing.T) {
	var arns, tables strings.Builder
	for i := range 150_000 {
		arns.WriteString(`"` + in("dynamodb", "table/"+strconv.Itoa(i)) + `",`)
		tables.WriteString(`"table` + strconv.Itoa(i) + `":{},`)
	}
	began := time.Now()
	for target, body := range map[string]string{
		"TagResource":        `{"x":[` + arns.String() + `""]}`,
		"BatchGetItem":       `{"RequestItems":{` + tables.String() + `"t":{}}}`,
		"ExecuteTransaction": `{"TransactStatements":[{"Statement":"` + strings.Repeat("EXISTS(", 8000) + strings.Repeat(")", 8000) + `"}]}`,
	} {
		if _, err := askJSON(t, "dynamodb", "DynamoDB_20120810."+target, body); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: %v", target, err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestGuardrailNamesAreKnown: the names of the guardrail are those of actions.
func TestGuardrailNamesAreKnown(t *testing.T) {
	b, err := os.ReadFile("guardrails/aws-no-credentials.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := append(tableOf(t).actionNames(), opaqueAction)
	found := regexp.MustCompile(`(?m)^      - "?([a-z0-9-]+:[A-Za-z0-9*]+)"?$`).FindAllStringSubmatch(string(b), -1)
	if len(found) < 40 {
		t.Fatalf("%d names", len(found))
	}
	for _, m := range found {
		if !slices.ContainsFunc(names, func(n string) bool { ok, _ := path.Match(m[1], n); return ok }) {
			t.Errorf("%s is no action", m[1])
		}
	}
}

// TestAttackByOtherHeaders: an approval for an object is not one for the same bytes of another type.
func TestAttackByOtherHeaders(t *testing.T) {
	text := func(headers ...string) string {
		call, err := ask(t, "s3", "PUT", "/reports/a", "", headers...)
		if err != nil {
			t.Fatal(err)
		}
		return call.statement(false).Text
	}
	plain := text("Content-Type", "text/plain")
	for _, other := range [][]string{
		{"Content-Type", "text/html"}, {"Content-Type", "text/plain", "Content-Encoding", "gzip"}, {"Content-Type", "text/plain", "If-Match", "x"},
		{"Content-Type", "text/plain", "Cache-Control", "no-store"}, {"Content-Type", "text/plain", "Content-Disposition", "inline"},
	} {
		if text(other...) == plain {
			t.Errorf("%v reads as without", other)
		}
	}
	if text("Content-Type", "text/plain", "Content-Encoding", "aws-chunked", "Amz-Sdk-Invocation-Id", "2", "User-Agent", "x") != plain {
		t.Error("what changes with each attempt is part of the call")
	}
}

// TestAttackByLikeSubjects: principals whose subjects are not alike have no tags alike.
func TestAttackByLikeSubjects(t *testing.T) {
	long := strings.Repeat("a", 300)
	odd := tagged("auth0|1")
	seen := map[string]string{}
	for _, s := range []string{"auth0|1", "auth0_1", "auth0*1", odd, tagged(odd), long, long + "b", "repo:o/r", "é", "_", "", "a+b"} {
		tag := tagged(s)
		if other, twice := seen[tag]; twice || tag == "" || len(tag) > 256 {
			t.Errorf("%q and %q are %q", s, other, tag)
		}
		seen[tag] = s
	}
	if tagged("repo:o/r") != "repo:o/r" || tagged("a+b") != "a+b" {
		t.Error("a subject that may be a tag is not one")
	}
}

// TestAttackByReplicas: a replica in another region has another name, which no mask may be of.
func TestAttackByReplicas(t *testing.T) {
	call, err := askJSON(t, "dynamodb", "DynamoDB_20120810.UpdateTable", `{"TableName":"orders","ReplicaUpdates":[{"Create":{"RegionName":"us-east-1"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if call.steered(call.masks(policies{orders: paths(access.MaskRedact, "**.email")})) == nil {
		t.Error("a masked table is replicated")
	}
}

// TestAttackByForgedKeys: a parameter that an operation does not have makes no condition hold.
func TestAttackByForgedKeys(t *testing.T) {
	const key = `"KeyId":"1","EncryptionContext":{"app":"mine"},"EncryptionAlgorithm":"SYMMETRIC_DEFAULT"`
	for _, c := range []struct {
		service, target, body, key string
		there                      bool
	}{
		{"kms", "TrentService.Decrypt", "{" + key + "}", "kms:EncryptionContext:app", true},
		{"kms", "TrentService.Decrypt", "{" + key + "}", "kms:EncryptionAlgorithm", true},
		{"kms", "TrentService.ScheduleKeyDeletion", "{" + key + "}", "kms:EncryptionContext:app", false},
		{"kms", "TrentService.ScheduleKeyDeletion", "{" + key + "}", "kms:EncryptionContextKeys", false},
		{"kms", "TrentService.ReEncrypt", "{" + key + "}", "kms:EncryptionContext:app", false},
		{"kms", "TrentService.ScheduleKeyDeletion", "{" + key + "}", "kms:EncryptionAlgorithm", false},
		{"secretsmanager", "secretsmanager.GetSecretValue", `{"SecretId":"a","VersionStage":"x"}`, "secretsmanager:VersionStage", true},
		{"secretsmanager", "secretsmanager.DeleteSecret", `{"SecretId":"a","VersionStage":"x"}`, "secretsmanager:VersionStage", false},
		{"dynamodb", "DynamoDB_20120810.Query", `{"TableName":"orders","Select":"COUNT"}`, "dynamodb:Select", true},
		{"dynamodb", "DynamoDB_20120810.GetItem", `{"TableName":"orders","Select":"COUNT","Key":{}}`, "dynamodb:Select", false},
		{"ssm", "AmazonSSM.GetParameter", `{"Name":"a","Recursive":false}`, "ssm:Recursive", false},
	} {
		call, err := askJSON(t, c.service, c.target, c.body)
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
			continue
		}
		if _, there := call.keys[c.key]; there != c.there {
			t.Errorf("%s: %s is there: %v", c.target, c.key, there)
		}
	}
}
