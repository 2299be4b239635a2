package aws

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// named says how a parameter names a resource: by an ARN, or by a name that goes in place of {} in form. Forms begin with the
// service of the ARN; region and account follow by themselves, but where the form has :: for a service without regions.
type named struct {
	operations string // separated by spaces; "" is every operation that has the parameter
	path       string // as find reads it
	form       string
}

// resources is how the services that are used most name theirs, by the service's id. What IAM says of a service without a row
// holds for its account as a whole.
var resources = map[string][]named{
	"sns": {
		{"CreateTopic", "Name", "sns:{}"}, {"", "TopicArn", "sns:{}"}, {"", "TargetArn", "sns:{}"}, {"", "ResourceArn", "sns:{}"},
		{"", "SubscriptionArn", "sns:{}"},
	},
	"lambda": {{"", "LayerName", "lambda:layer:{}"}, {"", "UUID", "lambda:event-source-mapping:{}"}, {"", "CodeSigningConfigArn", "lambda:code-signing-config:{}"}},
	"kms":    {{"", "AliasName", "kms:{}"}, {"", "TargetKeyId", "kms:key/{}"}},
	"sts":    {{"AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithSAML", "RoleArn", "iam::role/{}"}},
	"events": {{"", "EventBusName", "events:event-bus/{}"}, {"PutEvents", "Entries.*.EventBusName", "events:event-bus/{}"}, {"", "ArchiveName", "events:archive/{}"}},
	"stepfunctions": {
		{"", "stateMachineArn", "states:stateMachine:{}"}, {"", "executionArn", "states:execution:{}"}, {"", "activityArn", "states:activity:{}"},
		{"CreateStateMachine", "name", "states:stateMachine:{}"}, {"CreateActivity", "name", "states:activity:{}"},
	},
	"logs": {
		{"", "logGroupName", "logs:log-group:{}"}, {"", "logGroupIdentifier", "logs:log-group:{}"}, {"StartQuery", "logGroupNames.*", "logs:log-group:{}"},
		{"", "logGroupIdentifiers.*", "logs:log-group:{}"}, {"DescribeLogGroups", "logGroupNamePrefix", "logs:log-group:{}"},
	},
	"kinesis":  {{"", "StreamName", "kinesis:stream/{}"}, {"", "StreamARN", "kinesis:stream/{}"}},
	"firehose": {{"", "DeliveryStreamName", "firehose:deliverystream/{}"}},
	"ecr":      {{"", "repositoryName", "ecr:repository/{}"}, {"", "repositoryNames.*", "ecr:repository/{}"}},
	"cloudwatch": {
		{"", "AlarmName", "cloudwatch:alarm:{}"}, {"", "AlarmNames.*", "cloudwatch:alarm:{}"}, {"", "DashboardName", "cloudwatch::dashboard/{}"},
		{"DeleteDashboards", "DashboardNames.*", "cloudwatch::dashboard/{}"},
	},
	"rds": {
		{"", "DBInstanceIdentifier", "rds:db:{}"}, {"", "DBClusterIdentifier", "rds:cluster:{}"}, {"", "DBSnapshotIdentifier", "rds:snapshot:{}"},
		{"", "DBClusterSnapshotIdentifier", "rds:cluster-snapshot:{}"}, {"", "SourceDBInstanceIdentifier", "rds:db:{}"},
		{"", "SourceDBSnapshotIdentifier", "rds:snapshot:{}"}, {"", "TargetDBSnapshotIdentifier", "rds:snapshot:{}"},
		{"", "TargetDBInstanceIdentifier", "rds:db:{}"}, {"", "SourceDBClusterIdentifier", "rds:cluster:{}"}, {"", "ResourceName", "rds:{}"},
	},
	"iam": {
		{"", "UserName", "iam::user/{}"}, {"", "RoleName", "iam::role/{}"}, {"", "GroupName", "iam::group/{}"}, {"", "PolicyArn", "iam::policy/{}"},
		{"CreatePolicy", "PolicyName", "iam::policy/{}"}, {"", "InstanceProfileName", "iam::instance-profile/{}"},
		{"", "SAMLProviderArn", "iam::saml-provider/{}"}, {"", "OpenIDConnectProviderArn", "iam::oidc-provider/{}"},
		{"", "ServerCertificateName", "iam::server-certificate/{}"}, {"", "SerialNumber", "iam::mfa/{}"},
	},
}

// fill puts a name into a form; an ARN stands for itself. It is an error where the ARN is another service's.
func (c *call) fill(form, name string) (string, error) {
	service, rest, _ := strings.Cut(form, ":")
	if strings.HasPrefix(name, "arn:") {
		a, ok := parseARN(name)
		if !ok || a.service != service || a.partition != c.partition {
			return "", malformed("a parameter of %s holds an ARN that is none of the service %s in the partition %s", c.operation.name, service, c.partition)
		}
		return name, nil
	}
	if !plain(name) {
		return "", malformed("a name in %s holds control characters", c.operation.name)
	}
	if global, ok := strings.CutPrefix(rest, ":"); ok {
		return c.global(service, strings.Replace(global, "{}", name, 1)), nil
	}
	return c.arn(service, strings.Replace(rest, "{}", name, 1)), nil
}

// unscoped are calls that are about the account whatever they name: who adds the name of a resource, which the service does not
// look at, is not judged by that resource alone.
var unscoped = []string{
	"dynamodb.ListTables", "dynamodb.ListExports", "dynamodb.ListImports", "sqs.ListQueues", "secretsmanager.ListSecrets", "sns.ListTopics", "sns.ListSubscriptions",
	"kms.ListKeys", "kms.CreateKey", "ssm.DescribeParameters", "kinesis.ListStreams", "stepfunctions.ListStateMachines", "events.ListEventBuses",
	"iam.GetAccountAuthorizationDetails", "iam.GetCredentialReport", "iam.GenerateCredentialReport", "iam.GetAccountSummary", "iam.ListUsers", "iam.ListRoles",
	"iam.ListGroups", "iam.ListPolicies", "sts.GetSessionToken",
}

// judge finds what a call does to what.
func (c *call) judge() error {
	if c.operation == nil || c.dialect == "" {
		c.opaque()
		return nil
	}
	var err error
	switch c.service.id {
	case "s3":
		err = c.objects()
	case "dynamodb", "dynamodbstreams":
		err = c.items()
	case "sqs":
		err = c.queue()
	case "lambda":
		err = c.function()
	case "secretsmanager":
		err = c.secret()
	case "ssm":
		err = c.parameters()
	case "kms":
		err = c.key()
	case "bedrock-runtime":
		err = c.model()
	case "events":
		err = c.buses()
	}
	if err == nil {
		err = c.listed()
	}
	if err == nil && c.service.id != "s3" { // whose path says all
		c.mentioned("", c.input, true)
	}
	if !c.asksItself() || slices.Contains(unscoped, c.service.id+"."+c.operation.name) {
		c.on(c.whole())
	}
	if err == nil { // what follows is asked for besides
		c.passed(c.input)
		c.passed(c.others)
		if err = c.agency(); c.service.id != "s3" {
			c.mentioned("", c.input, false)
			c.mentioned("", c.others, false)
		}
		c.kin()
	}
	if err == nil && len(c.touches) > maxTouches {
		err = malformed("the call names more than %d resources", maxTouches)
	}
	slices.SortFunc(c.touches, compareTouches)
	slices.SortFunc(c.related, compareTouches)
	return err
}

// asksItself reports whether the call's own action is among what is asked for. Of what S3 and DynamoDB do at once, each part is.
func (c *call) asksItself() bool {
	if id := c.service.id; id == "s3" || id == "dynamodb" {
		return len(c.touches) > 0
	}
	return slices.ContainsFunc(c.touches, func(t touch) bool { return t.action == iamName(c.operation) })
}

func compareTouches(a, b touch) int {
	return cmp.Or(cmp.Compare(a.action, b.action), cmp.Compare(a.arn, b.arn))
}

// opaque is for calls that are not understood.
func (c *call) opaque() {
	service := c.scope.Service
	c.touches = []touch{{opaqueAction, c.arn(service, "*")}}
}

// whole is what actions without a resource of their own are asked for on.
func (c *call) whole() string {
	switch s := c.service; {
	case s.id == "s3":
		return c.bare("s3", "*")
	case s.prefix == "apigateway":
		return "arn:" + c.partition + ":apigateway:" + c.region + "::" + c.decodedPath()
	case s.signing == "execute-api":
		return c.arn("execute-api", strings.TrimPrefix(c.decodedPath(), "/"))
	case s.host != "":
		return c.global(s.prefix, "*")
	default:
		return c.arn(s.prefix, "*")
	}
}

func (c *call) decodedPath() string {
	p, err := url.PathUnescape(c.Path)
	if err != nil {
		return c.Path
	}
	return p
}

// listed takes what the table above says.
func (c *call) listed() error {
	for _, n := range resources[c.service.id] {
		if n.operations != "" && !slices.Contains(strings.Fields(n.operations), c.operation.name) {
			continue
		}
		for _, name := range find(c.input, n.path) {
			arn, err := c.fill(n.form, name)
			if err != nil {
				return err
			}
			c.on(arn)
		}
	}
	return nil
}

// passed asks for iam:PassRole, as IAM does, for the roles that a call hands to a service.
func (c *call) passed(params map[string]any) {
	if id := c.service.id; id == "iam" || id == "sts" {
		return
	}
	for _, a := range arnsIn(params, nil) {
		if a.service == "iam" && strings.HasPrefix(a.resource, "role/") {
			c.as("iam:PassRole", "arn:"+a.partition+":iam::"+a.account+":"+a.resource)
		}
	}
}

// mentioned adds whatever ARN of the service stands anywhere in a call: a resource that no row of the table knows of is judged, rather
// than overlooked. named takes those only that stand where a call names a resource: a description, a token or a tag that is an ARN makes
// a call no smaller than it is.
func (c *call) mentioned(name string, v any, named bool) {
	switch v := v.(type) {
	case string:
		a, ok := parseARN(v)
		if ok && (a.service == c.service.prefix || a.service == c.service.signing) && (!named || refers(name, a)) {
			c.on(v)
		}
	case map[string]any:
		for member, inner := range v {
			c.mentioned(member, inner, named)
		}
	case []any:
		for _, inner := range v {
			c.mentioned(name, inner, named)
		}
	}
}

// refers reports whether a member is called as what holds an ARN, or as what the ARN is of: jobQueue, of job-queue/x.
func refers(name string, a parsedARN) bool {
	letters := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(s))
	}
	kind, _, _ := strings.Cut(strings.ReplaceAll(a.resource, ":", "/"), "/")
	have := letters(name)
	kind = letters(kind)
	for _, end := range [...]string{"arn", "arns", "arnlist", "resource", "resources", "resourceid", "resourceids", "identifier", "identifiers", "resourcename"} {
		if strings.HasSuffix(have, end) {
			return true
		}
	}
	return have != "" && kind != "" && (have == kind || have == kind+"s" || strings.HasSuffix(have, kind+"name") || strings.HasSuffix(have, kind+"names") || strings.HasSuffix(have, kind+"id") || strings.HasSuffix(have, kind+"ids"))
}

func arnsIn(v any, to []parsedARN) []parsedARN {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "arn:") {
			if a, ok := parseARN(v); ok {
				to = append(to, a)
			}
		}
	case map[string]any:
		for _, inner := range v {
			to = arnsIn(inner, to)
		}
	case []any:
		for _, inner := range v {
			to = arnsIn(inner, to)
		}
	}
	return to
}

var queuePath = regexp.MustCompile(`^/([0-9]{12})/([A-Za-z0-9_-]{1,80}(?:\.fifo)?)$`)

// queue is SQS: a queue is named by its URL, whose host nobody reads, or by its name.
func (c *call) queue() error {
	address := text(c.input, "QueueUrl")
	if c.Path != "/" {
		if u, err := url.Parse(address); address != "" && address != c.Path && (err != nil || u.RequestURI() != c.Path || u.Fragment != "") {
			return malformed("the path and QueueUrl name two queues")
		}
		address = c.Path
	}
	if address != "" {
		path := address
		if u, err := url.Parse(address); err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.RawPath == "" && !strings.Contains(address, "%") {
			path = u.Path
		}
		m := queuePath.FindStringSubmatch(path)
		if m == nil || m[1] != c.account {
			return malformed("QueueUrl is not of the form https://HOST/%s/QUEUE", c.account)
		}
		c.on(c.arn("sqs", m[2]))
		return nil
	}
	if owner := text(c.input, "QueueOwnerAWSAccountId"); owner != "" && owner != c.account {
		return malformed("the queue is another account's")
	}
	if name := text(c.input, "QueueName"); name != "" {
		arn, err := c.fill("sqs:{}", name)
		if err != nil {
			return err
		}
		c.on(arn)
	}
	return nil
}

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,140}$|^\$LATEST$`)

// function is Lambda: functions are named by name, by partial or whole ARN, each with a version or an alias behind it.
func (c *call) function() error {
	for _, name := range find(c.input, "FunctionName") {
		if err := c.oneFunction(name); err != nil {
			return err
		}
	}
	return nil
}

// oneFunction reads NAME, ACCOUNT:function:NAME or an ARN, and :QUALIFIER behind any of them.
func (c *call) oneFunction(name string) error {
	region, account := c.region, c.account
	parts := strings.Split(name, ":")
	switch n := len(parts); {
	case parts[0] == "arn":
		a, ok := parseARN(name)
		if !ok || a.service != "lambda" || a.partition != c.partition || n < 7 || parts[5] != "function" {
			return malformed("FunctionName is an ARN, but of no function here")
		}
		region, account, parts = a.region, a.account, parts[6:]
	case n >= 3 && parts[1] == "function":
		account, parts = parts[0], parts[2:]
	}
	qualifier := ""
	if len(parts) == 2 {
		qualifier = parts[1]
	}
	if len(parts) > 2 || !functionName.MatchString(parts[0]) || len(parts) == 2 && !functionName.MatchString(qualifier) {
		return malformed("FunctionName is neither a name, nor ACCOUNT:function:NAME, nor an ARN")
	}
	if q := c.query.Get("Qualifier"); q != "" { // never from the body, where Lambda does not read it
		if qualifier != "" && qualifier != q {
			return malformed("FunctionName and Qualifier name two versions")
		}
		qualifier = q
	}
	base := "arn:" + c.partition + ":lambda:" + region + ":" + account + ":function:" + parts[0]
	if qualifier == "" {
		c.on(base)
		return nil
	}
	c.on(base + ":" + qualifier)
	c.related = append(c.related, touch{iamName(c.operation), base})
	return nil
}

// model is Bedrock: models of others belong to no account.
func (c *call) model() error {
	for _, name := range find(c.input, "modelId") {
		if !strings.HasPrefix(name, "arn:") {
			name = "arn:" + c.partition + ":bedrock:" + c.region + "::foundation-model/" + name
		}
		arn, err := c.fill("bedrock:{}", name)
		if err != nil {
			return err
		}
		c.on(arn)
	}
	return nil
}

// suffix is what Secrets Manager puts behind the name of a secret in its ARN.
var suffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// unknownSuffix stands for it where a secret is named by its name, as policies of IAM write it.
const unknownSuffix = "-??????"

// secret is Secrets Manager. Whichever way a secret is named, statements that deny see it under all of its names.
func (c *call) secret() error {
	names := find(c.input, "SecretId")
	names = append(names, find(c.input, "SecretIdList.*")...)
	if c.operation.name == "CreateSecret" {
		names = append(names, find(c.input, "Name")...)
	}
	action := iamName(c.operation)
	if c.operation.name == "BatchGetSecretValue" { // its own action is asked for on the account, as IAM does, and each secret for itself
		names, action = find(c.input, "SecretIdList.*"), "secretsmanager:GetSecretValue"
		c.on(c.whole())
		if c.batchFilters() {
			c.as(action, c.whole()) // any of them
		}
	}
	for _, name := range names {
		arn, err := c.fill("secretsmanager:secret:{}", name)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(name, "arn:") {
			c.as(action, arn+unknownSuffix)
			c.related = append(c.related, touch{action, arn})
			continue
		}
		c.as(action, arn)
		c.related = append(c.related, touch{action, arn + unknownSuffix})
		if bare := suffix.ReplaceAllString(arn, ""); bare != arn {
			c.related = append(c.related, touch{action, bare}, touch{action, bare + unknownSuffix})
		}
	}
	return nil
}

// batchFilters reports whether secrets are read that are not named one by one.
func (c *call) batchFilters() bool {
	return len(find(c.input, "SecretIdList.*")) == 0 || c.input["Filters"] != nil
}

// parameters is Systems Manager's parameter store; its other resources are judged as the account's.
func (c *call) parameters() error {
	if !strings.Contains(c.operation.name, "Parameter") {
		return nil
	}
	names := find(c.input, "Name")
	for _, path := range [...]string{"Names.*", "Path"} {
		names = append(names, find(c.input, path)...)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "arn:") {
			name, _, _ = strings.Cut(name, ":") // a version or a label
		}
		arn, err := c.fill("ssm:parameter/{}", strings.TrimPrefix(name, "/"))
		if err != nil {
			return err
		}
		c.on(arn)
	}
	return nil
}

// key is KMS. What an alias stands for cannot be known here: it is judged by its name.
func (c *call) key() error {
	for path, action := range map[string]string{"KeyId": "", "SourceKeyId": "", "DestinationKeyId": "kms:ReEncryptTo"} {
		for _, name := range find(c.input, path) {
			form := "kms:key/{}"
			if strings.HasPrefix(name, "alias/") {
				form = "kms:{}"
			}
			arn, err := c.fill(form, name)
			if err != nil {
				return err
			}
			if action == "" {
				c.on(arn)
			} else {
				c.as(action, arn)
			}
		}
	}
	return nil
}
