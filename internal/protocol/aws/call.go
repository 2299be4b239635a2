package aws

import (
	"strings"

	"gatehouse/internal/access"
)

// The gateway's own names for what IAM has none for.
const (
	connectAction = "aws:Connect"
	opaqueAction  = "aws:Opaque" // a call that is not understood, refused unless named outright
)

// place is where a connection's calls go, as its document says.
type place struct {
	connection string
	account    string
	region     string
	partition  string
	regions    []string // others that may be called
}

func placeOf(c *access.Connection) place {
	p := place{connection: c.Name, partition: "aws"}
	if o := c.AWS; o != nil {
		p.account, p.region, p.regions = o.Account, o.Region, o.Regions
		if o.Partition != "" {
			p.partition = o.Partition
		}
	}
	return p
}

// touch is one action of IAM on one resource of AWS.
type touch struct{ action, arn string }

// call is a request that was understood.
type call struct {
	*routed
	place
	body    map[string]any // the parameters that stand in the body; nil where it is bytes
	input   map[string]any // all parameters of the operation that conditions may read, those of the path included
	others  map[string]any // what stands in the body besides, which the service has no use for: it names nothing and meets no condition
	touches []touch
	related []touch        // the same resources under other names: deny and approve bind them
	keys    map[string]any // IAM's condition keys
	tables  []string       // dynamodb: the tables that it names
	source  string         // s3: what is copied, decoded: bucket/key, or an ARN, and ?versionId=
}

// resource is an ARN as policies name it.
func (c *call) resource(arn string) string { return access.PathResource(c.connection, arn) }

// actions are the touches, as policy sees them.
func (c *call) actions(touches []touch) []access.Action {
	list := make([]access.Action, 0, len(touches))
	for _, t := range touches {
		list = append(list, access.Action{Name: t.action, Resource: c.resource(t.arn)})
	}
	return list
}

// arn is the ARN of a resource of the account, in the call's region.
func (c *call) arn(service, resource string) string {
	return "arn:" + c.partition + ":" + service + ":" + c.region + ":" + c.account + ":" + resource
}

// global is the ARN of a resource of a service without regions.
func (c *call) global(service, resource string) string {
	return "arn:" + c.partition + ":" + service + "::" + c.account + ":" + resource
}

// bare is the ARN of a resource whose name says whose it is.
func (c *call) bare(service, resource string) string {
	return "arn:" + c.partition + ":" + service + ":::" + resource
}

// maxTouches is how many resources a call may name, times what it does to them.
const maxTouches = 4000

// as adds an action on a resource, once.
func (c *call) as(action, arn string) {
	if len(c.touches) > maxTouches { // judge refuses it
		return
	}
	t := touch{action, arn}
	for _, known := range c.touches {
		if known == t {
			return
		}
	}
	c.touches = append(c.touches, t)
}

// on adds the call's own action on a resource.
func (c *call) on(arn string) { c.as(iamName(c.operation), arn) }

// parsedARN is an ARN that a client sent.
type parsedARN struct{ partition, service, region, account, resource string }

// parseARN reads arn:partition:service:region:account:resource.
func parseARN(text string) (parsedARN, bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[5] == "" || !plain(text) {
		return parsedARN{}, false
	}
	return parsedARN{parts[1], parts[2], parts[3], parts[4], parts[5]}, true
}

// find returns the texts at a path of the parameters, such as Entries.*.Id; * is every element or member, and *key the
// members' names.
func find(v any, path string) []string {
	step, rest, more := strings.Cut(path, ".")
	var out []string
	switch v := v.(type) {
	case map[string]any:
		switch {
		case step == "*key":
			for name := range v {
				out = append(out, name)
			}
		case step == "*":
			for _, inner := range v {
				out = append(out, findAt(inner, rest, more)...)
			}
		default:
			if inner, ok := v[step]; ok {
				return findAt(inner, rest, more)
			}
		}
	case []any:
		if step == "*" {
			for _, inner := range v {
				out = append(out, findAt(inner, rest, more)...)
			}
		}
	}
	return out
}

func findAt(v any, rest string, more bool) []string {
	if more {
		return find(v, rest)
	}
	if s, ok := v.(string); ok {
		return []string{s}
	}
	return nil
}

// text is the text at a path; "" where there is none.
func text(v any, path string) string {
	if all := find(v, path); len(all) > 0 {
		return all[0]
	}
	return ""
}
