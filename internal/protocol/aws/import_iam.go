package aws

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// Bounds of a policy that is imported.
const (
	maxIAMStatements = 500
	maxResourceText  = 512  // bytes of a resource pattern, as policies bound it
	maxConditionText = 4096 // bytes of a condition, as policies bound it
	maxProblems      = 50
)

// importer reads one policy of IAM. What cannot be said is a problem, and nothing of it comes out; where what comes out is stricter,
// a note says so. It is never less strict (TestImportIsNeverLooser).
type importer struct {
	names      []string // every action, sorted
	connection string   // as resources begin, with the slash; "" is every account
	problems   []string
	notes      []string
	where      string // the statement that is read
}

// importIAM reads a policy of IAM as a Policy about one connection, or about every account.
func (m *models) importIAM(document []byte, name, connection string) (*access.Policy, []string, error) {
	in := &importer{names: m.actionNames()}
	if connection != "" {
		in.connection = access.Name(connection) + "/"
	}
	v, err := access.ReadJSON(document)
	if err != nil {
		return nil, nil, fault.New(fault.Malformed, "aws.importIAM", "the document cannot be read: %s", err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, nil, fault.New(fault.Malformed, "aws.importIAM", "the document is no policy: it is no object")
	}
	if all, err := json.Marshal(top["Statement"]); top["Version"] != iamVersion && (err != nil || bytes.Contains(all, []byte("${"))) {
		in.problem("without the Version %s, ${ is no variable in IAM, and here it is", iamVersion)
	}
	out := &access.Policy{Name: name}
	for _, st := range in.top(top) {
		out.Statements = append(out.Statements, in.statement(st)...)
	}
	if len(in.problems) > 0 {
		if more := len(in.problems) - maxProblems; more > 0 {
			in.problems = append(in.problems[:maxProblems], fmt.Sprintf("and %d more", more))
		}
		return nil, nil, fault.New(fault.Malformed, "aws.importIAM", "the policy cannot be said here:\n  %s", strings.Join(in.problems, "\n  "))
	}
	return out, in.notes, nil
}

func (in *importer) problem(format string, args ...any) {
	in.problems = append(in.problems, in.where+fmt.Sprintf(format, args...))
}

func (in *importer) note(format string, args ...any) {
	if n := in.where + fmt.Sprintf(format, args...); !slices.Contains(in.notes, n) {
		in.notes = append(in.notes, n)
	}
}

// top reads what stands around the statements.
func (in *importer) top(doc map[string]any) []map[string]any {
	for _, key := range sortedKeys(doc) {
		switch key {
		case "Version":
			if v := doc[key]; v != iamVersion && v != "2008-10-17" {
				in.problem("Version %v is not known: it is %s", v, iamVersion)
			}
		case "Id", "Statement":
		default:
			in.problem("%q is no element of a policy", key)
		}
	}
	list, ok := doc["Statement"].([]any)
	if one, single := doc["Statement"].(map[string]any); single {
		list, ok = []any{one}, true
	}
	if !ok || len(list) == 0 || len(list) > maxIAMStatements {
		in.problem("Statement has to be a list of 1 to %d statements", maxIAMStatements)
		return nil
	}
	var out []map[string]any
	for i, e := range list {
		st, ok := e.(map[string]any)
		if !ok {
			in.problem("statement %d is no object", i+1)
			continue
		}
		if _, has := st[""]; has {
			in.problem("statement %d has an element without a name", i+1)
		}
		out = append(out, maps.Clone(st))
		out[len(out)-1][""] = i + 1 // its number, for words
	}
	return out
}

// refusedElements are elements that a Policy has nothing for.
var refusedElements = map[string]string{
	"NotAction":    "write the actions that it is about in Action",
	"NotResource":  "write the resources that it is about in Resource",
	"Principal":    "a Role says whom a Policy binds",
	"NotPrincipal": "a Role says whom a Policy binds",
}

// statement reads one statement; it becomes several where its resources need conditions of their own.
func (in *importer) statement(st map[string]any) []access.PolicyStatement {
	in.where = fmt.Sprintf("statement %d", st[""])
	if s, ok := st["Sid"].(string); ok && s != "" {
		in.where += fmt.Sprintf(" (%+q)", s)
	}
	in.where += ": "
	defer func() { in.where = "" }()
	before := len(in.problems)
	for _, key := range sortedKeys(st) {
		switch key {
		case "", "Sid", "Effect", "Action", "Resource", "Condition":
		default:
			in.problem("%+q cannot be said: %s", key, cmp.Or(refusedElements[key], "it is no element of a statement"))
		}
	}
	effect := map[any]string{iamAllow: access.Allow.String(), iamDeny: access.Deny.String()}[st["Effect"]]
	if effect == "" {
		in.problem("Effect is neither %s nor %s", iamAllow, iamDeny)
	}
	base := access.PolicyStatement{Effect: effect}
	for _, a := range in.words(st, "Action") {
		base.Actions = append(base.Actions, in.actions(a)...)
	}
	slices.Sort(base.Actions)
	base.Actions = slices.Compact(base.Actions)
	if effect == access.Deny.String() {
		in.tagging(in.words(st, "Action"))
		in.notes = append(in.notes, in.where+"a deny covers what lies below its resources too: of a bucket, its objects")
	}
	base.Condition = in.condition(st["Condition"], effect, base.Actions)
	out := in.resources(in.words(st, "Resource"), base)
	if len(in.problems) > before {
		return nil
	}
	return out
}

// tagging refuses denies of tagging alone. A call that tags what it creates is asked for under both names by IAM, and under its own here.
func (in *importer) tagging(actions []string) {
	for _, a := range actions {
		_, verb, _ := strings.Cut(strings.ToLower(a), ":")
		reads := slices.ContainsFunc([]string{"untag", "delete", "remove", "get", "list", "describe"}, func(p string) bool { return strings.HasPrefix(verb, p) })
		if strings.Contains(verb, "tag") && !reads {
			in.problem("%+q: a call that tags what it creates is judged by its own action here, and such a deny would not hold for it: deny the "+
				"actions that create, or all of the service", a)
		}
	}
}

// words reads what may be one text or a list of them.
func (in *importer) words(st map[string]any, key string) []string {
	list, ok := st[key].([]any)
	if one, single := st[key].(string); single {
		list, ok = []any{one}, true
	}
	var out []string
	for _, e := range list {
		s, isText := e.(string)
		ok = ok && isText
		out = append(out, s)
	}
	if !ok || len(out) == 0 {
		if _, not := st["Not"+key]; !not {
			in.problem("%s has to be a text, or a list of texts", key)
		}
		return nil
	}
	return out
}

// actions are the names that an action of IAM, in any case and with wildcards, stands for.
func (in *importer) actions(text string) []string {
	service, verb, found := strings.Cut(text, ":")
	switch {
	case text == "*" || text == "*:*":
		return []string{"*"}
	case strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }): // some of which have letters of ASCII for another case
		in.problem("%+q is no action: it has other characters than those of ASCII", text)
		return nil
	case !found || strings.ContainsAny(service, "*?") || verb == "":
		in.problem("%+q is no action: it is a service and an action, such as s3:GetObject, or *", text)
		return nil
	}
	var matched []string
	same := true // that case matters makes no difference, and no character stands for one other
	for _, n := range in.names {
		if !glob(strings.ToLower(text), strings.ToLower(n)) {
			continue
		}
		matched = append(matched, n)
		same = same && glob(text, n)
	}
	switch {
	case len(matched) == 0:
		in.problem("%+q is no action that is known here%s", text, in.near(text))
	case same && strings.Contains(verb, "*") && !strings.Contains(verb, "?"):
		return []string{text}
	case strings.ContainsAny(verb, "*?"):
		in.note("%+q is written as the %d actions that it is now", text, len(matched))
	}
	return matched
}

// near names actions that may have been meant.
func (in *importer) near(text string) string {
	service, verb, _ := strings.Cut(strings.ToLower(text), ":")
	best := map[int][]string{}
	known := false
	for _, n := range in.names {
		s, v, _ := strings.Cut(strings.ToLower(n), ":")
		if s != service {
			continue
		}
		known = true
		if d := edits(verb, v); d <= max(2, len(verb)/3) {
			best[d] = append(best[d], n)
		}
	}
	if !known {
		return ": no service has this prefix"
	}
	var names []string
	for _, d := range slices.Sorted(maps.Keys(best)) {
		names = append(names, best[d]...)
	}
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names[:min(3, len(names))], " or ") + "?"
}

// edits is how many bytes have to change to make one word of another; words are cut at 64 bytes.
func edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := left
			if a[i] != b[j] {
				d++
			}
			left = row[j+1]
			row[j+1] = min(d, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// glob matches * and ?.
func glob(pattern, s string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
