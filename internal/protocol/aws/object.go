package aws

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$`)
	accessPoint = regexp.MustCompile(`^accesspoint[:/]([a-z0-9-]{3,63}|[a-z0-9]+\.mrap)(?:/(?:object/)?(.*))?$`)
)

// objects is S3: buckets and objects, and what calls need besides their own action, as IAM has it.
func (c *call) objects() error {
	bucket, err := c.bucketARN(c.labels["Bucket"])
	if err != nil || bucket == "" {
		return err
	}
	for name, values := range c.Header { // which of two a condition would be about, nobody could say
		if len(values) > 1 && keyedHeader(strings.ToLower(name)) {
			return malformed("the header %s stands twice", name)
		}
	}
	key, inside := c.labels["Key"]
	if !inside {
		if c.operation.name == "DeleteObjects" {
			return c.deletedObjects(bucket)
		}
		c.on(bucket)
		for name := range c.Header {
			if lower := strings.ToLower(name); lower == "x-amz-acl" || strings.HasPrefix(lower, "x-amz-grant-") {
				c.as("s3:PutBucketAcl", bucket)
			}
		}
		return nil
	}
	object := objectARN(bucket, key)
	if err := c.restored(); err != nil {
		return err
	}
	name := c.versioned(iamName(c.operation))
	c.as(name, object)
	if c.operation.name == "GetObjectAttributes" {
		c.as(c.versioned("s3:GetObject"), object)
	}
	return c.besides(object)
}

// besides adds what headers ask for.
func (c *call) besides(object string) error {
	h := c.Header
	if source := h.Values("X-Amz-Copy-Source"); len(source) > 0 {
		if len(source) > 1 || c.operation.name != "CopyObject" && c.operation.name != "UploadPartCopy" {
			return malformed("X-Amz-Copy-Source stands twice, or where nothing is copied")
		}
		if err := c.copied(source[0]); err != nil {
			return err
		}
	}
	if h.Get("X-Amz-Bypass-Governance-Retention") != "" {
		c.as("s3:BypassGovernanceRetention", object)
	}
	if c.operation.method != "PUT" && c.operation.method != "POST" {
		return nil
	}
	for name := range h {
		switch lower := strings.ToLower(name); {
		case lower == "x-amz-acl", strings.HasPrefix(lower, "x-amz-grant-"):
			c.as("s3:PutObjectAcl", object)
		case lower == "x-amz-tagging":
			c.as("s3:PutObjectTagging", object)
		case lower == "x-amz-object-lock-legal-hold":
			c.as("s3:PutObjectLegalHold", object)
		case lower == "x-amz-object-lock-mode", lower == "x-amz-object-lock-retain-until-date":
			c.as("s3:PutObjectRetention", object)
		}
	}
	return nil
}

// restored refuses a restore that writes what it selects to a place of its own, which nobody would be asked for, and a new name for an
// object, which only buckets know that are not understood.
func (c *call) restored() error {
	if c.operation.name == "RenameObject" || len(c.Header.Values("X-Amz-Rename-Source")) > 0 {
		return malformed("renaming an object is not understood")
	}
	if c.operation.name == "RestoreObject" && (c.body["OutputLocation"] != nil || c.body["SelectParameters"] != nil) {
		return malformed("a restore that selects is not understood")
	}
	return nil
}

// versioned is the action where a version is named.
func (c *call) versioned(action string) string {
	if c.query.Get("versionId") == "" {
		return action
	}
	switch action {
	case "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging", "s3:GetObjectAttributes", "s3:PutObjectAcl", "s3:PutObjectTagging",
		"s3:DeleteObject", "s3:DeleteObjectTagging":
		return strings.Replace(action, "Object", "ObjectVersion", 1)
	}
	return action
}

// copied asks for reading what is copied: bucket/key or an access point's ARN, percent-encoded, perhaps with a version.
func (c *call) copied(source string) error {
	path, query, versioned := strings.Cut(source, "?")
	if version, ok := strings.CutPrefix(query, "versionId="); versioned && (!ok || version == "" || strings.Contains(version, "&")) {
		return malformed("X-Amz-Copy-Source has a query that is no versionId")
	}
	path = strings.TrimPrefix(path, "/")
	if err := checkPath("/" + path); err != nil {
		return err
	}
	decoded, err := url.PathUnescape(path)
	if err != nil || strings.Contains(decoded, "?versionId=") {
		return malformed("X-Amz-Copy-Source has escapes that can be read in two ways")
	}
	var object string
	if a, ok := parseARN(decoded); ok {
		bucket, rest, found := strings.Cut(a.resource, "/object/")
		if a.service != "s3" || !found {
			return malformed("X-Amz-Copy-Source is an ARN, but of no object")
		}
		a.resource = bucket
		if bucket, err = c.bucketARN("arn:" + a.partition + ":s3:" + a.region + ":" + a.account + ":" + a.resource); err != nil {
			return err
		}
		object = objectARN(bucket, rest)
	} else {
		bucket, key, found := strings.Cut(decoded, "/")
		if !found || key == "" || !bucketName.MatchString(bucket) {
			return malformed("X-Amz-Copy-Source is not of the form bucket/key")
		}
		object = objectARN(c.bare("s3", bucket), key)
	}
	if c.source = decoded; versioned {
		c.source += "?" + query
		c.as("s3:GetObjectVersion", object)
	} else {
		c.as("s3:GetObject", object)
	}
	return nil
}

// deletedObjects asks for every key of a list.
func (c *call) deletedObjects(bucket string) error {
	list, ok := c.body["Object"].([]any)
	if one, single := c.body["Object"].(map[string]any); single {
		list, ok = []any{one}, true
	}
	if !ok || len(list) == 0 || len(list) > 1000 {
		return malformed("the list of objects to delete is empty, too long, or cannot be read")
	}
	for _, item := range list {
		o, _ := item.(map[string]any)
		key, ok := o["Key"].(string)
		if !ok || key == "" || dotted(key) {
			return malformed("the list of objects to delete has an entry whose key cannot be read in one way")
		}
		if v, _ := o["VersionId"].(string); v != "" {
			c.as("s3:DeleteObjectVersion", objectARN(bucket, key))
		} else {
			c.as("s3:DeleteObject", objectARN(bucket, key))
		}
		if c.Header.Get("X-Amz-Bypass-Governance-Retention") != "" {
			c.as("s3:BypassGovernanceRetention", objectARN(bucket, key))
		}
	}
	return nil
}

// dotted reports whether a key has segments that some backends resolve.
func dotted(key string) bool {
	for _, s := range strings.FieldsFunc(key, func(r rune) bool { return r == '/' || r == '\\' }) {
		if s == "." || s == ".." {
			return true
		}
	}
	return !plain(key)
}

// bucketARN is the ARN of a bucket, or of an access point that stands in its place.
func (c *call) bucketARN(bucket string) (string, error) {
	if bucket == "" {
		return "", nil
	}
	if strings.HasPrefix(bucket, "arn:") {
		a, ok := parseARN(bucket)
		if !ok || a.service != "s3" || a.partition != c.partition || !accessPoint.MatchString(a.resource) {
			return "", malformed("the bucket is an ARN, but of no access point")
		}
		return strings.Replace(bucket, "accesspoint:", "accesspoint/", 1), nil
	}
	if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") || strings.HasSuffix(bucket, "--x-s3") {
		return "", malformed("%q is no name of a bucket that is understood", bucket)
	}
	return c.bare("s3", bucket), nil
}

// objectARN is the ARN of an object in a bucket or behind an access point.
func objectARN(bucket, key string) string {
	if strings.Contains(bucket, ":accesspoint/") {
		return bucket + "/object/" + key
	}
	return bucket + "/" + key
}
