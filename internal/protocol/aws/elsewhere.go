package aws

import (
	"regexp"
	"slices"
	"strings"
)

// Services act on resources of other services with the permissions of whoever calls. IAM asks the caller for those too; a backend
// asks the gateway's own credential, which may have them where the caller has not. What a call says of them is asked for here.

// agency adds what a call has a service do with resources of another: objects of S3, and secrets behind parameters.
func (c *call) agency() error {
	switch id := c.service.id; {
	case id == "ssm":
		return c.referenced()
	case slices.Contains(keepers, id), id == "dynamodb" && !strings.HasPrefix(c.operation.name, "Import") && !strings.HasPrefix(c.operation.name, "Export"):
		return nil
	}
	return c.stores(c.body, maxDepth)
}

// keepers are services whose parameters hold what somebody says, rather than what they should act on.
var keepers = []string{"s3", "sqs", "sns", "kinesis", "firehose", "logs", "secretsmanager", "events", "stepfunctions", "cloudwatch", "kms", "sts", "iam"}

// stores looks for objects that a call names, by s3://BUCKET/KEY or by members called Bucket and Key.
func (c *call) stores(v any, depth int) error {
	switch v := v.(type) {
	case string:
		if uri, ok := cutScheme(v); ok {
			bucket, key, _ := strings.Cut(uri, "/")
			return c.object(bucket, key)
		}
	case []any:
		for _, e := range v {
			if err := c.stores(e, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		bucket, key := firstText(v, bucketMembers), firstText(v, keyMembers)
		if bucket != "" {
			if err := c.object(strings.TrimPrefix(bucket, "arn:"+c.partition+":s3:::"), key); err != nil {
				return err
			}
		}
		for _, e := range v {
			if err := c.stores(e, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutScheme takes s3:// off an address, in any case.
func cutScheme(s string) (string, bool) {
	for _, scheme := range [...]string{"s3://", "s3a://", "s3n://"} {
		if len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return s[len(scheme):], true
		}
	}
	return "", false
}

// The members that name a bucket, and what is in it: a key, or a prefix of keys.
var (
	bucketMembers = []string{"s3bucket", "bucket", "bucketname", "s3bucketname", "outputs3bucketname", "s3bucketsource"}
	keyMembers    = []string{"s3key", "key", "name", "objectkey", "s3objectkey", "prefix", "s3prefix", "s3keyprefix", "outputs3keyprefix", "keyprefix"}
)

// firstText is the text of the first member, whatever its case, that one of the names is of.
func firstText(m map[string]any, names []string) string {
	for _, want := range names {
		for name, v := range m {
			if s, ok := v.(string); ok && s != "" && strings.EqualFold(strings.ReplaceAll(name, "_", ""), want) {
				return s
			}
		}
	}
	return ""
}

// object asks for reading and writing an object that a service is told of: which of the two it does is the service's own.
func (c *call) object(bucket, key string) error {
	if !bucketName.MatchString(bucket) {
		return nil // what S3 would not take for a bucket
	}
	if dotted(key) {
		return malformed("a parameter of %s names an object whose key can be read in two ways", c.operation.name)
	}
	arn := c.bare("s3", bucket)
	if key != "" {
		arn = objectARN(arn, key)
	}
	c.as("s3:GetObject", arn)
	c.as("s3:PutObject", arn)
	return nil
}

// secretReference is the name of a parameter that stands for a secret.
var secretReference = regexp.MustCompile(`(?i)^/?aws/reference/secretsmanager/(.+)$`)

// referenced asks for the secrets that parameters stand for.
func (c *call) referenced() error {
	for _, name := range slices.Concat(find(c.input, "Name"), find(c.input, "Names.*"), find(c.input, "Path")) {
		if a, ok := parseARN(name); ok {
			name = strings.TrimPrefix(a.resource, "parameter")
		}
		m := secretReference.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		secret, _, _ := strings.Cut(m[1], ":") // a version
		if !plain(secret) {
			return malformed("a name in %s holds control characters", c.operation.name)
		}
		arn := c.arn("secretsmanager", "secret:"+secret)
		c.as(readSecret, arn+unknownSuffix)
		c.related = append(c.related, touch{readSecret, arn})
	}
	return nil
}

const readSecret = "secretsmanager:GetSecretValue"

// kin adds other names of the resources that a call touches, under which statements that deny or approve may know them.
func (c *call) kin() {
	for _, t := range slices.Clone(c.touches) {
		switch a, _ := parseARN(t.arn); {
		case a.service == "logs" && strings.HasPrefix(a.resource, "log-group:"):
			group := strings.TrimSuffix(t.arn, ":*")
			if c.related = append(c.related, touch{t.action, group + ":log-stream:" + text(c.input, "logStreamName")}); group != t.arn {
				c.related = append(c.related, touch{t.action, group})
			}
		case a.service == "sns" && strings.Contains(a.resource, ":"): // a subscription is its topic's
			topic, _, _ := cutLast(t.arn, ':')
			c.related = append(c.related, touch{t.action, topic})
		case a.service == "states" && strings.Count(a.resource, ":") > 1, // a version, an alias or a run of a state machine
			a.service == "ssm" && strings.Contains(a.resource, ":"): // a version or a label of a parameter
			base, _, _ := cutLast(t.arn, ':')
			c.related = append(c.related, touch{t.action, base})
		case a.service == "bedrock" && a.account == "" && geographic.MatchString(a.resource):
			c.related = append(c.related, touch{t.action, strings.TrimSuffix(t.arn, a.resource) + geographic.ReplaceAllString(a.resource, "$1")})
		}
	}
}

// geographic is a model that is called across regions.
var geographic = regexp.MustCompile(`^(foundation-model/)(?:us|eu|ap|apac|us-gov|global|jp|au|ca|sa)\.`)

// buses asks for the buses of events that name none: they go to the one called default.
func (c *call) buses() error {
	if c.operation.name != "PutEvents" {
		return nil
	}
	list, _ := c.input["Entries"].([]any)
	for _, e := range list {
		if text(e, "EventBusName") == "" {
			c.on(c.arn("events", "event-bus/default"))
		}
	}
	return nil
}
