package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
)

// Marks of what has a meaning in a pattern; control characters are refused, so that no pattern holds them otherwise.
const (
	anyRun  = 0x01 // *
	anyByte = 0x02 // ?
)

// marked reads a pattern of IAM: * and ? become marks, and the variables that stand for one character become it.
func marked(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("%+q holds a control character", text)
		case c == '*':
			b.WriteByte(anyRun)
		case c == '?':
			b.WriteByte(anyByte)
		case strings.HasPrefix(text[i:], "${"):
			name, _, closed := strings.Cut(text[i+2:], "}")
			if !closed || name != "*" && name != "?" && name != "$" {
				return "", fmt.Errorf("%+q depends on the caller by a variable: write a condition on claims in the Policy instead", text)
			}
			b.WriteString(name)
			i += len("${}")
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// resources completes a statement with its resources. Those of an allow whose wildcards stand before the last part of an ARN have
// statements of their own: there "*" stops at a colon in IAM, and here it does not.
func (in *importer) resources(list []string, base access.PolicyStatement) []access.PolicyStatement {
	var out []access.PolicyStatement
	together := base
	for _, text := range list {
		allow := base.Effect == access.Allow.String()
		in.judged(text, allow)
		pattern, exact := in.resource(text, allow)
		if exact == "" {
			together.Resources = append(together.Resources, pattern)
			if !allow {
				together.Resources = append(together.Resources, in.aliases(text, base.Actions)...)
			}
			continue
		}
		own := base
		own.Resources, own.Condition = []string{pattern}, both(base.Condition, exact)
		if len(own.Condition) > maxConditionText {
			in.problem("with the condition that %+q needs, its condition is longer than %d bytes", text, maxConditionText)
		}
		out = append(out, own)
	}
	if len(together.Resources) > 0 {
		out = append([]access.PolicyStatement{together}, out...)
	}
	return out
}

// wholly are services any of whose resources are named by their calls, as far as policies of IAM name them.
var wholly = []string{"sqs", "sns", "apigateway", "execute-api", "bedrock", "iam"}

// kinds are what the resources of other services begin with that calls are judged by, besides those of the table of resources.
var kinds = map[string][]string{
	"dynamodb": {"table/", "global-table/"}, "lambda": {"function:"}, "secretsmanager": {"secret:"}, "ssm": {"parameter/"}, "kms": {"key/", "alias/"},
}

// judged looks whether calls are judged by resources such as this one. To calls that are judged as their account's, a deny of one
// resource would be none; an allow of one allows nothing.
func (in *importer) judged(text string, allow bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || strings.Trim(parts[5], "*") == "" || slices.Contains(wholly, parts[2]) {
		return
	}
	service, literal := parts[2], parts[5]
	if i := strings.IndexAny(literal, "*?$"); i >= 0 {
		literal = literal[:i]
	}
	known := slices.Clone(kinds[service])
	for _, list := range resources {
		for _, n := range list {
			if form, ok := strings.CutPrefix(n.form, service+":"); ok {
				prefix, _, _ := strings.Cut(strings.TrimPrefix(form, ":"), "{}")
				known = append(known, prefix)
			}
		}
	}
	if service == "s3" && (parts[3]+parts[4] == "" || strings.Trim(parts[3]+parts[4], "*") == "") {
		known = append(known, "") // buckets and objects
	} else if service == "s3" {
		known = append(known, "accesspoint/")
	}
	if slices.ContainsFunc(known, func(prefix string) bool {
		return strings.HasPrefix(literal, prefix) || strings.HasPrefix(prefix, literal) && literal != parts[5]
	}) {
		return
	}
	if allow {
		in.note("%+q: calls are not judged by such resources, but by their account: this allows nothing", text)
		return
	}
	in.problem("%+q: calls are not judged by such resources, but by their account, so that this would deny nothing: deny the actions on *", text)
}

// aliases are the other names under which a call may ask for what a deny is about. Where they cannot be told, the deny cannot be said.
func (in *importer) aliases(text string, actions []string) []string {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 {
		return nil
	}
	switch parts[2] {
	case "iam":
		whole := func(a string) bool { return a == "iam:PassRole" || a == "sts:AssumeRole" } // whose calls hold the whole ARN
		if strings.Count(parts[5], "/") > 1 && slices.ContainsFunc(actions, func(a string) bool { return !whole(a) }) {
			in.problem("%+q: calls of IAM name roles and users without their paths: deny them without", text)
		}
	case "kms":
		if parts[5] != "*" && !strings.HasPrefix(parts[5], "alias/") {
			in.problem("%+q: calls may name a key by an alias, and which key that is cannot be told here: deny all keys, or their aliases", text)
		}
	case "secretsmanager":
		bare := suffix.ReplaceAllString(text, "")
		switch {
		case bare == text:
		case in.connection == "":
			in.problem("%+q: name the connection, since calls may name the secret without what stands behind its last hyphen", text)
		default:
			other, _ := in.resource(bare+unknownSuffix, false)
			return []string{other}
		}
	}
	return nil
}

func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " && " + b
}

// resource is the pattern for a resource, and for an allow the condition that makes it as narrow as it is in IAM; "" where it is.
func (in *importer) resource(text string, allow bool) (pattern, exact string) {
	if text == "*" {
		text = "arn:*"
	}
	m, err := marked(text)
	if err != nil {
		in.problem("%v", err)
		return "", ""
	}
	parts := strings.SplitN(m, ":", 6)
	last := parts[len(parts)-1]
	switch {
	case !strings.HasPrefix(m, "arn:"):
		in.problem("%+q is no resource: it is an ARN, or *", text)
		return "", ""
	case len(parts) < 6 && !strings.HasSuffix(last, string(rune(anyRun))):
		in.problem("%+q is no whole ARN, and does not end in *", text)
		return "", ""
	case strings.HasSuffix(m, strings.Repeat(string(rune(anyByte)), 6)) && strings.Count(m, string(rune(anyByte))) == 6 && isSecret(text):
		if in.connection == "" {
			in.problem("%+q: name the connection, since ? can be said only of the resources of one", text)
			return "", ""
		}
		if allow {
			in.note("%+q allows the secret by its name; a call that names it by its whole ARN needs that ARN", text)
		}
		m = strings.ReplaceAll(m, string(rune(anyByte)), "?")
	case strings.Contains(m, string(rune(anyByte))):
		in.problem("%+q: a ? that stands for one character cannot be said; write *, or each resource", text)
		return "", ""
	case in.connection == "" && strings.Contains(m, "?") || in.connection == "" && strings.Contains(m, "${"):
		in.problem("%+q: name the connection, since ? and ${ can be said only of the resources of one", text)
		return "", ""
	}
	pattern = in.connection + written(m)
	if len(pattern) > maxResourceText {
		in.problem("%+.40q is longer than a resource may be, %d bytes", text, maxResourceText)
	}
	_, rest, wild := strings.Cut(m, string(rune(anyRun)))
	if !wild || len(parts) == 6 && !strings.Contains(strings.Join(parts[:5], ""), string(rune(anyRun))) || strings.Trim(rest, ":"+string(rune(anyRun))) == "" {
		return pattern, "" // no wildcard comes before the last part, or nothing literal follows it
	}
	if !allow {
		in.note("%+q: * matches colons too, so that more may be denied", text)
		return pattern, ""
	}
	return pattern, in.narrow(parts)
}

// written is a marked pattern as resources are written here.
func written(m string) string {
	escaped := strings.TrimPrefix(access.PathResource("", "x"+strings.ReplaceAll(m, string(rune(anyRun)), "\x00")), "/x")
	return strings.ReplaceAll(escaped, "%00", "*")
}

// narrow is a condition under which every part of an ARN matches by itself.
func (in *importer) narrow(parts []string) string {
	var b strings.Builder
	b.WriteByte('^')
	if in.connection == "" {
		b.WriteString("[^/]*/")
	} else {
		b.WriteString(regexp.QuoteMeta(in.connection))
	}
	for i, part := range parts {
		wild := "[^:]*"
		if i == len(parts)-1 {
			wild = ".*"
		}
		if i > 0 {
			b.WriteByte(':')
		}
		for j, literal := range strings.Split(written(part), "*") {
			if j > 0 {
				b.WriteString(wild)
			}
			b.WriteString(regexp.QuoteMeta(literal))
		}
	}
	return "action.resource.matches(" + strconv.Quote(b.String()+"$") + ")"
}
