package aws

import (
	"maps"
	"slices"
	"strings"
)

// conditions are IAM's condition keys, as far as a request tells them; what is not there is unknown.
func (c *call) conditions() map[string]any {
	k := map[string]any{"aws:RequestedRegion": c.region}
	if c.scope.Regions != "" && c.scope.Regions != c.region {
		delete(k, "aws:RequestedRegion") // several, or any
	}
	if c.operation == nil {
		return k
	}
	switch c.service.id {
	case "s3":
		c.objectKeys(k)
	case "dynamodb":
		c.itemKeys(k)
	case "lambda":
		c.copyKeys(k, "lambda:Qualifier", "Qualifier")
		for _, t := range c.touches {
			if strings.Contains(t.arn, ":function:") {
				k["lambda:FunctionArn"] = t.arn
			}
		}
	case "secretsmanager":
		c.copyKeys(k, "secretsmanager:SecretId", "SecretId", "secretsmanager:VersionStage", "VersionStage", "secretsmanager:VersionId", "VersionId",
			"secretsmanager:Name", "Name", "secretsmanager:KmsKeyId", "KmsKeyId")
	case "kms":
		c.copyKeys(k, "kms:KeyId", "KeyId", "kms:EncryptionAlgorithm", "EncryptionAlgorithm", "kms:SigningAlgorithm", "SigningAlgorithm")
		if id := text(c.input, "KeyId"); strings.HasPrefix(id, "alias/") {
			k["kms:RequestAlias"] = id
		}
		if context, ok := c.input["EncryptionContext"].(map[string]any); ok {
			k["kms:EncryptionContextKeys"] = anys(slices.Sorted(maps.Keys(context)))
			for name, v := range context {
				k["kms:EncryptionContext:"+name] = v
			}
		}
	case "sqs":
		if queue := c.touches[0].arn; queue != c.whole() {
			k["sqs:QueueName"] = queue[strings.LastIndexByte(queue, ':')+1:]
		}
	case "sns":
		c.copyKeys(k, "sns:Protocol", "Protocol", "sns:Endpoint", "Endpoint")
	case "sts":
		c.copyKeys(k, "sts:RoleArn", "RoleArn", "sts:RoleSessionName", "RoleSessionName", "sts:ExternalId", "ExternalId")
	case "ssm":
		if r, ok := c.input["Recursive"]; ok {
			k["ssm:Recursive"] = r
		}
		c.copyKeys(k, "ssm:Overwrite", "Overwrite")
	case "events":
		if s := find(c.input, "Entries.*.Source"); len(s) > 0 {
			k["events:source"] = anys(s)
		}
		if s := find(c.input, "Entries.*.DetailType"); len(s) > 0 {
			k["events:detail-type"] = anys(s)
		}
	}
	c.only(k)
	return k
}

// keysOf are the operations that condition keys are of. To others the parameter is a word that they do not look at, and IAM has no key.
var keysOf = map[string]string{
	"dynamodb:Select": "Query Scan", "dynamodb:ReturnValues": "PutItem UpdateItem DeleteItem",
	"secretsmanager:VersionStage": "GetSecretValue UpdateSecretVersionStage", "secretsmanager:VersionId": "GetSecretValue",
	"kms:EncryptionAlgorithm": "Encrypt Decrypt", "kms:SigningAlgorithm": "Sign Verify",
	"sns:Protocol": "Subscribe", "sns:Endpoint": "Subscribe",
	"sts:ExternalId": "AssumeRole", "sts:RoleSessionName": "AssumeRole AssumeRoleWithWebIdentity",
	"ssm:Recursive": "GetParametersByPath", "ssm:Overwrite": "PutParameter",
	"events:source": "PutEvents", "events:detail-type": "PutEvents",
}

// only leaves the keys that the operation has.
func (c *call) only(k map[string]any) {
	for name, operations := range keysOf {
		if !slices.Contains(strings.Fields(operations), c.operation.name) {
			delete(k, name)
		}
	}
	const sealed = "Encrypt Decrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext"
	if !slices.Contains(strings.Fields(sealed), c.operation.name) {
		maps.DeleteFunc(k, func(name string, _ any) bool { return strings.HasPrefix(name, "kms:EncryptionContext") })
	}
}

// copyKeys copies parameters under IAM's names, in pairs.
func (c *call) copyKeys(to map[string]any, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v, ok := c.input[pairs[i+1]]; ok {
			to[pairs[i]] = v
		}
	}
}

func (c *call) objectKeys(k map[string]any) {
	for key, param := range map[string]string{"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys", "s3:VersionId": "versionId"} {
		if v, ok := c.query[param]; ok && len(v) == 1 {
			k[key] = v[0]
			if key == "s3:max-keys" {
				if n, err := number(v[0]); err == nil {
					k[key] = n
				}
			}
		}
	}
	if _, ok := k["s3:prefix"]; !ok && iamName(c.operation) == "s3:ListBucket" {
		k["s3:prefix"] = "" // a list that is not limited
	}
	for name, values := range c.Header {
		lower := strings.ToLower(name)
		if len(values) == 1 && keyedHeader(lower) {
			k["s3:"+lower] = values[0]
		}
	}
	if c.source != "" {
		k["s3:x-amz-copy-source"], _, _ = strings.Cut(c.source, "?versionId=")
	}
	if c.scope.Presigned {
		k["s3:authType"] = "REST-QUERY-STRING"
	} else {
		k["s3:authType"] = "REST-HEADER"
	}
}

// keyedHeader reports whether IAM has a condition key for a header, in lower case.
func keyedHeader(lower string) bool {
	return strings.HasPrefix(lower, "x-amz-grant-") || slices.Contains(keyedHeaders, lower)
}

// keyedHeaders are headers that IAM has condition keys for.
var keyedHeaders = []string{
	"x-amz-acl", "x-amz-copy-source", "x-amz-metadata-directive", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
	"x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-object-lock-mode", "x-amz-object-lock-legal-hold",
}

// itemKeys are those of DynamoDB. LeadingKeys are the values of the items' keys: which of a key's members is the partition key
// only the table knows, so that all of them are listed where there are two.
func (c *call) itemKeys(k map[string]any) {
	c.copyKeys(k, "dynamodb:Select", "Select", "dynamodb:ReturnValues", "ReturnValues", "dynamodb:ReturnConsumedCapacity", "ReturnConsumedCapacity")
	if values, ok := c.keyValues(); ok {
		k["dynamodb:LeadingKeys"] = values
	}
	names := c.mentions()
	if names.ok {
		k["dynamodb:Attributes"] = anys(names.sorted())
	}
	if c.operation.name == "Scan" {
		k["dynamodb:FullTableScan"] = true
	}
}

// keyValues lists the values of the keys that a call names; ok is false where it does not say.
func (c *call) keyValues() (values []any, ok bool) {
	var keys []any
	add := func(v any) {
		if v != nil {
			keys = append(keys, v)
		}
	}
	in := c.input
	switch c.operation.name {
	case "GetItem", "DeleteItem", "UpdateItem":
		add(in["Key"])
	case "BatchGetItem":
		each(in["RequestItems"], func(v any) { each(member(v, "Keys"), add) })
	case "BatchWriteItem":
		each(in["RequestItems"], func(v any) {
			each(v, func(w any) { add(member(member(w, "DeleteRequest"), "Key")) })
		})
		if len(find(in, "RequestItems.*.*.PutRequest.*key")) > 0 {
			return nil, false // which members of a whole item are its key is not said
		}
	case "TransactGetItems":
		each(in["TransactItems"], func(v any) { add(member(member(v, "Get"), "Key")) })
	case "Query":
		return c.queriedKey()
	}
	for _, key := range keys {
		m, isMap := key.(map[string]any)
		if !isMap {
			return nil, false
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			s, isText := plainValue(m[name])
			if !isText { // a value that cannot be told is not left out: the others would be taken for all
				return nil, false
			}
			values = append(values, s)
		}
	}
	return values, len(keys) > 0
}

// queriedKey is the value that a query's partition key equals: the one comparison by = in its condition.
func (c *call) queriedKey() ([]any, bool) {
	tokens, err := lexExpression(text(c.input, "KeyConditionExpression"))
	if err != nil {
		return nil, false
	}
	var values []any
	for i := range tokens {
		if tokens[i] != "=" || i == 0 || i+1 >= len(tokens) {
			continue
		}
		operand := tokens[i+1]
		if !strings.HasPrefix(operand, ":") {
			operand = tokens[i-1]
		}
		s, ok := plainValue(member(c.input["ExpressionAttributeValues"], operand))
		if !ok {
			return nil, false
		}
		values = append(values, s)
	}
	return values, len(values) > 0
}

// plainValue is the text in a value of DynamoDB such as {"S": "a"}.
func plainValue(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	for kind, inner := range m {
		s, ok := inner.(string)
		return s, ok && (kind == "S" || kind == "N" || kind == "B")
	}
	return "", false
}

func member(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}

// each calls do for every element or member, in no order.
func each(v any, do func(any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			do(e)
		}
	case map[string]any:
		for _, e := range v {
			do(e)
		}
	}
}

func anys(s []string) []any {
	out := make([]any, len(s))
	for i, v := range s {
		out[i] = v
	}
	return out
}
