package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// The language of IAM's policies: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
const (
	iamVersion = "2012-10-17"
	iamAllow   = "Allow"
	iamDeny    = "Deny"
	iamManaged = 6144 // characters of a managed policy, without white space
)

// iamDocument is a policy as it is written.
type iamDocument struct {
	Version   string
	Statement []iamStatement
}

type iamStatement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// exportIAM writes a policy as IAM's: its statements allow or approve, on resources of accounts. IAM cannot hold an action for a
// reviewer: statements that approve are left to a note, since what they hold is allowed by others.
func exportIAM(p *access.Policy) ([]byte, []string, error) {
	out := iamDocument{Version: iamVersion}
	var notes []string
	connections := map[string]bool{}
	whole := map[string]bool{}
	held := 0
	for i := range p.Statements {
		st := &p.Statements[i]
		switch {
		case st.Effect == access.Approve.String():
			held++
			continue
		case st.Effect != access.Allow.String() || st.Condition != "":
			return nil, nil, fault.New(fault.Malformed, "aws.exportIAM", "statement %d of policy %s does not just allow: it cannot be written for IAM", i+1, p.Name)
		}
		s := iamStatement{Effect: iamAllow, Action: st.Actions}
		for _, r := range st.Resources {
			arn, all, err := iamResource(r)
			if err != nil {
				return nil, nil, err
			}
			connection, _, _ := strings.Cut(r, "/")
			connections[connection] = true
			if all {
				for _, a := range st.Actions {
					whole[a] = true
				}
			}
			s.Resource = append(s.Resource, arn)
		}
		if slices.Contains(s.Resource, "*") {
			s.Resource = []string{"*"}
		}
		s.Sid = sid(len(out.Statement)+1, st.Actions)
		out.Statement = append(out.Statement, s)
	}
	for _, action := range sortedKeys(whole) {
		notes = append(notes, action+" was called without a resource of its own: it is granted on every one, as IAM wants it for such actions.")
	}
	if held > 0 {
		notes = append(notes, fmt.Sprintf("%d statements only ever ran after a reviewer's approval: IAM has no such thing, and allows them.", held))
	}
	if len(connections) > 1 {
		notes = append(notes, fmt.Sprintf("The resources are those of %d connections: attach the parts that are of an account there.", len(connections)))
	}
	b, err := encodeIAM(out)
	if n := len(compact(b)); n > iamManaged {
		notes = append(notes, fmt.Sprintf("It has %d characters without white space, and a managed policy has %d at most: split it.", n, iamManaged))
	}
	return b, notes, err
}

// sid names a statement by its number and the service of its first action; IAM takes letters and digits only.
func sid(n int, actions []string) string {
	service, _, _ := strings.Cut(actions[0], ":")
	service = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, service)
	if service == "" {
		return "Seen" + strconv.Itoa(n)
	}
	return "Seen" + strconv.Itoa(n) + strings.ToUpper(service[:1]) + service[1:]
}

func encodeIAM(d iamDocument) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}

func compact(b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return b
	}
	return out.Bytes()
}

// iamResource is a resource, or a pattern of resources, of a connection as IAM writes it. all says that it was the account as a
// whole: what actions without a resource of their own are asked for on.
func iamResource(resource string) (arn string, all bool, err error) {
	_, inside, ok := strings.Cut(resource, "/")
	if !ok || !strings.HasPrefix(inside, "arn:") {
		return "", false, fault.New(fault.Malformed, "aws.iamResource", "%s is no resource of an account", resource)
	}
	if parts := strings.SplitN(inside, ":", 6); len(parts) == 6 && parts[5] == "%2A" {
		return "*", true, nil
	}
	behind := ""
	if s, found := strings.CutSuffix(inside, unknownSuffix); found && isSecret(inside) {
		inside, behind = s, unknownSuffix // which stands for any six characters in IAM too
	}
	var b strings.Builder
	for i := 0; i < len(inside); i++ {
		switch c := inside[i]; {
		case c == '%' && i+2 < len(inside):
			n, err := strconv.ParseUint(inside[i+1:i+3], 16, 8)
			if err != nil {
				return "", false, fault.New(fault.Malformed, "aws.iamResource", "%s holds a percent sign that begins no escape", resource)
			}
			b.WriteString(literalIAM(byte(n), ""))
			i += 2
		case c == '*':
			b.WriteByte('*')
		default:
			b.WriteString(literalIAM(c, inside[i+1:]))
		}
	}
	return b.String() + behind, false, nil
}

// literalIAM writes a byte that stands for itself. What has a meaning in IAM's patterns is written as its variables for that.
func literalIAM(c byte, next string) string {
	if c == '*' || c == '?' || c == '$' && strings.HasPrefix(next, "{") {
		return "${" + string(rune(c)) + "}"
	}
	return string([]byte{c})
}

func isSecret(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[2] == "secretsmanager" && strings.HasPrefix(parts[5], "secret:")
}

// aboveObject is the prefix that an object lies below, inside of its bucket. Nothing else has one: a table, a queue or a bucket
// never stands for another.
func aboveObject(resource string) (string, bool) {
	_, arn, inside := strings.Cut(resource, "/")
	parts := strings.SplitN(arn, ":", 6)
	if !inside || len(parts) != 6 || parts[2] != "s3" || parts[3]+parts[4] != "" {
		return "", false
	}
	resource = strings.TrimSuffix(resource, "/")
	i := strings.LastIndexByte(resource, '/')
	if bucket, _, key := strings.Cut(strings.TrimSuffix(parts[5], "/"), "/"); !key || bucket == "" {
		return "", false
	}
	return resource[:i+1], true
}
