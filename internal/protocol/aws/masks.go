package aws

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// masks is what must be hidden of a call and of its answer: the masks of every resource that it touches, together.
type masks struct {
	access.DocumentMasks
	spread   bool                  // there are masks of resources, and the call reads some that it does not name
	requests bool                  // there are masks of what the backend is sent, which calls of AWS know no way to keep
	within   func(key string) bool // which objects of a listing are masked; nil where there is none, or none is
}

func (m masks) none() bool { return m.named() && m.within == nil }

// named reports whether nothing that the call names is masked.
func (m masks) named() bool { return m.None() && !m.requests && !m.spread }

// masks gathers what policy says of the resources of a call.
func (c *call) masks(m access.Masks) masks {
	var all masks
	if m == nil {
		return all
	}
	if c.spreads() {
		b, tells := m.(interface{ Below(prefix string) bool })
		all.spread = !tells || b.Below(c.resource(strings.TrimSuffix(c.whole(), "*")))
	}
	all.within = c.within(m)
	for _, t := range c.touches {
		if t.action == "s3:GetObject" && c.service.id != "s3" { // which another service reads, and tells of in its own words
			b, tells := m.(interface{ Below(prefix string) bool })
			all.spread = all.spread || !tells || b.Below(c.resource(t.arn)) || !m.Document(c.resource(t.arn), access.ToClient).None()
		}
	}
	var names []string
	for _, t := range slices.Concat(c.touches, c.related) {
		names = append(names, t.arn)
	}
	for _, arn := range slices.Concat(names, c.tables) {
		resource := c.resource(arn)
		all.requests = all.requests || !m.Document(resource, access.ToBackend).None()
		d := m.Document(resource, access.ToClient)
		if d.Whole != nil && all.Whole == nil {
			all.Whole = d.Whole
		}
		all.Paths = join(all.Paths, d.Paths)
		all.Headers = join(all.Headers, d.Headers)
		all.Detect = join(all.Detect, d.Detect)
	}
	return all
}

// spreads reports whether a call returns values of resources that it does not name.
func (c *call) spreads() bool {
	if c.operation == nil {
		return false
	}
	switch c.service.id + "." + c.operation.name {
	case "secretsmanager.BatchGetSecretValue":
		return c.batchFilters()
	case "ssm.GetParametersByPath":
		return true
	}
	return c.service.id == "s3" && slices.ContainsFunc(c.touches, func(t touch) bool { return behindAlias(t.arn) })
}

// behindAlias reports whether an ARN is of what stands for a bucket that it does not name: an access point, or an alias of one.
func behindAlias(arn string) bool {
	a, ok := parseARN(arn)
	bucket, _, _ := strings.Cut(a.resource, "/")
	return ok && (a.region+a.account != "" || slices.ContainsFunc([]string{"-s3alias", "--ol-s3", "--op-s3", "--xa-s3"}, func(end string) bool { return strings.HasSuffix(bucket, end) }))
}

// join adds what is not there yet. Where there was nothing, it is the list itself: policy's lists do not change.
func join[T comparable](to, more []T) []T {
	if len(to) == 0 {
		return slices.Clip(more)
	}
	for _, v := range more {
		if !slices.Contains(to, v) {
			to = append(to, v)
		}
	}
	return to
}

// inside reports whether something is hidden by the document's structure, rather than by detectors.
func (m masks) inside() bool { return m.Whole != nil || len(m.Paths) > 0 }

// form is how an answer is masked.
type form uint8

const (
	formRefused form = iota // nobody knows how: the call is refused before it is sent
	formJSON                // parameters in JSON
	formItems               // the same, with DynamoDB's values
	formBytes               // what was stored: JSON or text by its content type
	formXML                 // parameters in XML: detectors only
	formList                // a listing of objects, some of which are masked
	formPlain               // nothing of what is masked is in it
)

// answerForm tells how the answer to a call is masked.
func (c *call) answerForm(m masks) form {
	o := c.operation
	switch {
	case o == nil || o.stream || o.events:
		return formRefused
	case c.service.id == "s3":
		return c.objectForm(m)
	case m.inside() && slices.Contains(packedAnswers, c.service.id+"."+o.name):
		return formRefused
	case c.service.id == "dynamodb" || c.service.id == "dynamodbstreams":
		return formItems
	case o.output:
		return formBytes
	case c.dialect == dialectJSON || c.dialect == dialectREST:
		if m.Whole != nil && !slices.Contains([]string{"sqs", "secretsmanager", "ssm", "lambda"}, c.service.id) {
			return formRefused
		}
		return formJSON
	case (c.dialect == dialectQuery || c.dialect == dialectEC2 || c.dialect == dialectXML) && !m.inside():
		return formXML
	}
	return formRefused
}

// packedAnswers are those that hold what somebody stored in base64: paths do not see into it.
var packedAnswers = []string{"kinesis.GetRecords", "kms.Decrypt", "kms.GenerateDataKey", "ssm.GetDocument"}

// objectForm is for S3: masks are of what objects hold; lists and settings hold none of it.
func (c *call) objectForm(m masks) form {
	switch c.operation.name {
	case "GetObject", "HeadObject":
		return formBytes
	case "SelectObjectContent", "GetObjectTorrent", "GetObjectAttributes":
		return formRefused
	case "ListParts": // with digests and lengths
		if m.inside() {
			return formRefused
		}
	}
	if m.within != nil {
		return formList
	}
	if len(m.Detect) > 0 && c.operation.method == http.MethodGet {
		return formXML
	}
	return formPlain
}

// carried are calls that take what is masked to where nobody masks it.
var carried = []string{
	"dynamodb.ExportTableToPointInTime", "dynamodb.RestoreTableFromBackup", "dynamodb.RestoreTableToPointInTime",
	"dynamodb.EnableKinesisStreamingDestination", "dynamodb.UpdateKinesisStreamingDestination", "dynamodb.CreateGlobalTable",
	"s3.CopyObject", "s3.UploadPartCopy", "s3.RestoreObject", "secretsmanager.ReplicateSecretToRegions", "sqs.StartMessageMoveTask",
}

// steered refuses a call under masks that could tell of what they hide: whose condition reads it, whose answer cannot be
// masked, or that copies it elsewhere.
func (c *call) steered(m masks) error {
	if m.none() {
		return nil
	}
	if m.spread {
		return masked("the call reads by another way what may be masked for you: name each secret or parameter, or the bucket, and call the service that keeps it")
	}
	if m.requests {
		return masked("masks of requests are not kept in calls of AWS: leave out `in` of the mask, or write another policy")
	}
	if c.answerForm(m) == formRefused {
		return masked("the answer holds what is masked for you, in a form that cannot be masked")
	}
	if c.service.id == "ssm" && m.inside() && slices.ContainsFunc(c.touches, func(t touch) bool { return t.action == readSecret }) {
		return masked("the parameter stands for a secret that is masked for you: read it from Secrets Manager")
	}
	if c.service.id == "s3" && (c.query.Has("response-content-type") || c.query.Has("response-content-encoding")) {
		return masked("what an object is, where it is masked for you, is what it was stored as: leave out response-content-type and -encoding")
	}
	if !m.inside() {
		return nil
	}
	if slices.Contains(carried, c.service.id+"."+c.operation.name) || c.service.id == "dynamodb" && c.input["ReplicaUpdates"] != nil {
		return masked("the call takes what is masked for you to another place")
	}
	switch c.service.id {
	case "s3":
		return c.steeredObject()
	case "dynamodb":
		return c.steeredItems(m)
	}
	return nil
}

// steeredObject refuses what tells of an object by parts or by guesses.
func (c *call) steeredObject() error {
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		for _, v := range c.Header.Values(name) {
			if v != "*" { // a guess of the object's digest: whether it is right would show, in writes as in reads
				return masked("what an object is may be masked for you: leave out the header " + name)
			}
		}
	}
	for _, member := range [...]string{"ETag", "Size"} {
		if len(find(c.body, "Object.*."+member))+len(find(c.body, "Object."+member)) > 0 {
			return masked("what an object is may be masked for you: leave its " + member + " out of the list to delete")
		}
	}
	for _, name := range [...]string{"X-Amz-If-Match-Size", "X-Amz-Write-Offset-Bytes"} {
		if len(c.Header.Values(name)) > 0 {
			return masked("how large an object is may be masked for you: leave out the header " + name)
		}
	}
	if c.operation.name != "GetObject" && c.operation.name != "HeadObject" {
		return nil
	}
	for _, name := range [...]string{"Range", "If-Match", "If-None-Match"} {
		if len(c.Header.Values(name)) > 0 {
			return masked("objects that are masked for you are read whole: leave out the header " + name)
		}
	}
	if c.query.Has("partNumber") {
		return masked("objects that are masked for you are read whole: leave out partNumber")
	}
	return nil
}

// steeredItems refuses expressions that read a masked attribute: who may ask often enough learns it.
func (c *call) steeredItems(m masks) error {
	names := c.mentions()
	if !names.ok {
		return masked("what the call's expressions read cannot be told from what is masked for you")
	}
	if m.Whole != nil && len(names.read) > 0 && !c.keyed(names) {
		return masked("the call's conditions read items that are masked for you as a whole")
	}
	for _, p := range m.Paths {
		path, err := access.ParsePath(p.Path)
		if err != nil {
			return masked("a mask has a path that cannot be read")
		}
		hides, any := attributes(path)
		if names.documents && slices.ContainsFunc(path.Steps, func(s access.Step) bool { return s.Kind == access.StepAny || s.Kind == access.StepEach }) {
			return masked("the call's conditions compare maps or lists, which may hold what is masked for you")
		}
		for name := range names.read {
			if any || slices.ContainsFunc(hides, func(h string) bool { return strings.EqualFold(h, name) }) {
				return &fault.Error{Op: "aws.steered", Kind: fault.Denied, Say: "the call's conditions or keys read " + name + ", which is masked for you",
					Hint: "Leave " + name + " out of the call's conditions, filters, keys and of the sources of its updates."}
			}
		}
		if slices.ContainsFunc(path.Steps, func(s access.Step) bool { return s.Kind == access.StepIndex }) && names.parts {
			return masked("a mask counts elements of a list, which a projection or an update counts anew")
		}
	}
	return nil
}

// keyed reports whether a call reads by the key alone, as Whole lets it: GetItem and its like.
func (c *call) keyed(mentioned) bool {
	switch c.operation.name {
	case "GetItem", "BatchGetItem", "TransactGetItems", "PutItem", "BatchWriteItem":
		return len(find(c.input, "ConditionExpression")) == 0 && member(c.input, "Expected") == nil
	}
	return false
}

// frame are members of DynamoDB's answers, which are no attributes.
var frame = []string{"Items", "Item", "Attributes", "Responses", "Records", "NewImage", "OldImage", "dynamodb"}

// attributes lists the names that a mask's path goes by. any says that it may hide attributes of every name.
func attributes(p access.Path) (list []string, any bool) {
	any = true
	for _, s := range p.Steps {
		if s.Kind == access.StepName && !slices.Contains(frame, s.Name) {
			list = append(list, s.Name)
			any = false
		}
	}
	return list, any
}

func masked(say string) error { return fault.New(fault.Denied, "aws.masked", "%s", say) }
