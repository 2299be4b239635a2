package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// keyKind is what the values of a condition key are.
type keyKind uint8

const (
	textKey keyKind = iota
	numberKey
	boolKey
	dateKey // aws:CurrentTime, which is now
)

// conditionKey is a condition key of IAM that is known of a call, and how well.
type conditionKey struct {
	name   string
	kind   keyKind
	list   bool // it has several values
	more   bool // the list may hold more than IAM's does
	unsure bool // where it is missing, IAM may have it
}

// conditionKeys are those that conditions() tells as IAM does. Its other keys are for Policies that are written for Gatehouse.
var conditionKeys = []conditionKey{
	{name: "aws:RequestedRegion"},
	{name: "aws:CurrentTime", kind: dateKey},
	{name: "dynamodb:LeadingKeys", list: true, more: true, unsure: true}, // a sort key beside the partition key stands in it too
	{name: "dynamodb:Attributes", list: true, more: true, unsure: true},
	{name: "dynamodb:Select"},
	{name: "dynamodb:ReturnValues"},
	{name: "dynamodb:ReturnConsumedCapacity"},
	{name: "dynamodb:FullTableScan", kind: boolKey, unsure: true},
	{name: "s3:prefix"},
	{name: "s3:delimiter"},
	{name: "s3:max-keys", kind: numberKey},
	{name: "s3:VersionId"},
	{name: "kms:EncryptionAlgorithm"},
	{name: "kms:SigningAlgorithm"},
	{name: "kms:RequestAlias", unsure: true},
	{name: "kms:EncryptionContextKeys", list: true},
	{name: "secretsmanager:VersionStage"},
	{name: "secretsmanager:VersionId"},
	{name: "sns:Protocol"},
	{name: "sns:Endpoint"},
	{name: "sts:ExternalId"},
	{name: "sts:RoleSessionName"},
	{name: "ssm:Recursive", kind: boolKey},
	{name: "ssm:Overwrite", kind: boolKey},
	{name: "events:source", list: true},
	{name: "events:detail-type", list: true},
}

// keyNamed finds a key; IAM's keys have no case.
func keyNamed(name string) (conditionKey, bool) {
	lower := strings.ToLower(name)
	for _, k := range conditionKeys {
		if strings.ToLower(k.name) == lower {
			return k, true
		}
	}
	if header, ok := strings.CutPrefix(lower, "s3:"); ok && keyedHeader(header) {
		return conditionKey{name: lower}, true
	}
	const context = "kms:EncryptionContext:"
	if len(name) > len(context) && strings.EqualFold(name[:len(context)], context) {
		return conditionKey{name: context + name[len(context):]}, true
	}
	return conditionKey{}, false
}

// comparison is one operator of IAM on one key.
type comparison struct {
	*importer
	operator string // as it stands there
	base     string // without Not, quantifier and IfExists
	negated  bool
	quantity string // ForAllValues, ForAnyValue or ""
	ifExists bool
	key      conditionKey
	allow    bool
	opaque   bool // the statement is about calls that are not understood too
}

// condition is what has to hold for a statement to apply, in CEL; "" where nothing has to.
//
// What is missing or unknown counts as false in an allow and as true in a deny. In IAM some operators hold for keys that are missing:
// there an allow is stricter than it was, and says so.
func (in *importer) condition(v any, effect string, actions []string) string {
	if v == nil {
		return ""
	}
	block, ok := v.(map[string]any)
	if !ok {
		in.problem("Condition is no object")
		return ""
	}
	var all []string
	for _, operator := range sortedKeys(block) {
		keys, ok := block[operator].(map[string]any)
		if !ok || len(keys) == 0 {
			in.problem("Condition: %+q has no keys", operator)
			continue
		}
		for _, name := range sortedKeys(keys) {
			c := comparison{importer: in, operator: operator, allow: effect == access.Allow.String(), opaque: slices.Contains(actions, "*")}
			if expression := c.say(name, keys[name]); expression != "" {
				all = append(all, expression)
			}
		}
	}
	out := strings.Join(all, " && ")
	if len(out) > maxConditionText {
		in.problem("Condition: written as CEL it is longer than %d bytes; split the statement", maxConditionText)
	}
	return out
}

func (c *comparison) say(name string, v any) string {
	var known bool
	if c.key, known = keyNamed(name); !known {
		c.problem("Condition: the key %+q is not known of a call here", name)
		return ""
	}
	values, ok := textsOf(v)
	if !ok || len(values) == 0 {
		c.problem("Condition: %s of %s has no values", c.operator, name)
		return ""
	}
	c.parse()
	if !c.allow && strings.HasPrefix(c.key.name, "kms:EncryptionContext:") {
		c.problem("Condition: %s is met in any case in IAM, and here only as it is written: a Deny cannot be said with it", name)
		return ""
	}
	if c.negated && !slices.Contains([]string{"StringEquals", "StringLike", "StringEqualsIgnoreCase", "NumericEquals", "ArnEquals", "ArnLike"}, c.base) {
		c.problem("Condition: %s of %s: the operator cannot be said here", c.operator, name)
		return ""
	}
	if c.base == "Null" {
		return c.null(values)
	}
	test, err := c.test(values)
	if err == nil {
		err = c.fits()
	}
	if err != nil {
		c.problem("Condition: %s of %s: %v", c.operator, name, err)
		return ""
	}
	return c.guarded(c.quantified(test))
}

// parse takes an operator apart.
func (c *comparison) parse() {
	op := c.operator
	for _, q := range [...]string{"ForAllValues", "ForAnyValue"} {
		if rest, ok := strings.CutPrefix(op, q+":"); ok {
			c.quantity, op = q, rest
		}
	}
	op, c.ifExists = strings.CutSuffix(op, "IfExists")
	for _, kind := range [...]string{"String", "Numeric", "Arn"} {
		if rest, ok := strings.CutPrefix(op, kind+"Not"); ok {
			c.negated, op = true, kind+rest
		}
	}
	c.base = op
}

// textsOf reads one value or a list of them, as texts.
func textsOf(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]string, len(list))
	for i, e := range list {
		switch e := e.(type) {
		case string:
			out[i] = e
		case bool, int64:
			out[i] = fmt.Sprint(e)
		case float64:
			out[i] = strconv.FormatFloat(e, 'f', -1, 64)
		default:
			return nil, false
		}
	}
	return out, true
}

// fits says why a quantifier does not go with the key.
func (c *comparison) fits() error {
	switch {
	case c.key.list && c.quantity == "":
		return fmt.Errorf("the key has several values: say ForAllValues or ForAnyValue")
	case c.key.kind == dateKey && (c.quantity != "" || c.ifExists):
		return fmt.Errorf("the time is one value, and always there")
	case c.key.more && c.allow && c.quantity == "ForAnyValue":
		return fmt.Errorf("more values may be known here than IAM looks at, so that any one of them proves nothing; ForAllValues can be said")
	case c.key.more && !c.allow && c.quantity == "ForAllValues":
		return fmt.Errorf("more values may be known here than IAM looks at, so that it would deny less; ForAnyValue can be said")
	}
	return nil
}

// param is the key's value in CEL.
func (c *comparison) param() string { return "request.params[" + strconv.Quote(c.key.name) + "]" }

// quantified applies a test, in which v stands for a value.
func (c *comparison) quantified(test string) string {
	switch {
	case c.key.kind == dateKey:
		return test
	case !c.key.list:
		return strings.ReplaceAll(test, valueOf, c.param())
	case c.quantity == "ForAllValues":
		return c.param() + ".all(v, " + strings.ReplaceAll(test, valueOf, "v") + ")"
	default:
		return c.param() + ".exists(v, " + strings.ReplaceAll(test, valueOf, "v") + ")"
	}
}

// guarded says what holds where the key is missing. Left alone, that is unknown: false in an allow, and true in a deny.
func (c *comparison) guarded(expression string) string {
	holds := c.negated && c.quantity != "ForAnyValue" || c.ifExists || c.quantity == "ForAllValues" // in IAM, where it is missing
	switch {
	case c.key.kind == dateKey:
		return expression
	case c.allow:
		if holds {
			c.note("Condition: where %s is missing, IAM's %s holds; here the statement does not apply then", c.key.name, c.operator)
		}
		return expression
	case holds:
		return expression
	case c.key.unsure:
		c.note("Condition: where %s is not known, the statement denies", c.key.name)
		return expression
	case c.opaque: // of a call that is not understood nothing is known
		return "(" + c.present() + " ? " + expression + " : action.name == " + strconv.Quote(opaqueAction) + ")"
	default:
		return "(" + c.present() + " && " + expression + ")"
	}
}

func (c *comparison) present() string { return strconv.Quote(c.key.name) + " in request.params" }

// null is about whether a key is there. A key that is not known may be there all the same.
func (c *comparison) null(values []string) string {
	missing, present := strings.EqualFold(values[0], "true"), c.present()
	if c.key.name == "s3:prefix" { // which is said to be empty where a list is not limited
		present = "(" + present + " && " + c.param() + ` != "")`
	}
	switch {
	case len(values) != 1 || !missing && !strings.EqualFold(values[0], "false") || c.quantity != "" || c.ifExists || c.key.kind == dateKey:
		c.problem("Condition: Null of %s has to be true or false, once", c.key.name)
	case c.allow && !missing:
		return present
	case !c.allow && missing:
		return "!(" + present + ")"
	default:
		c.problem("Condition: that %s is missing cannot be told from that it is not known: Null can be false in an Allow, and true in a Deny", c.key.name)
	}
	return ""
}

// valueOf stands for the value in a test. No quoted text holds it: control characters are escaped there.
const valueOf = "\x00"

// test compares the value with each of several: one match is enough, or none may match.
func (c *comparison) test(values []string) (string, error) {
	var each []string
	var err error
	kind := textKey
	switch {
	case c.base == "StringEquals":
		return c.oneOf(values)
	case c.base == "StringLike", c.base == "StringEqualsIgnoreCase", c.base == "ArnEquals", c.base == "ArnLike":
		each, err = c.patterns(values)
	case c.base == "Bool":
		kind = boolKey
		each, err = bools(values)
	case strings.HasPrefix(c.base, "Numeric"):
		kind = numberKey
		each, err = c.numbers(values)
	case strings.HasPrefix(c.base, "Date"):
		kind = dateKey
		each, err = c.dates(values)
	default:
		return "", fmt.Errorf("the operator cannot be said here")
	}
	if err == nil && kind != c.key.kind {
		err = fmt.Errorf("the key holds values of another kind")
	}
	return c.either(each), err
}

// either joins comparisons.
func (c *comparison) either(each []string) string {
	test := strings.Join(each, " || ")
	if c.negated {
		return "!(" + test + ")"
	}
	if len(each) > 1 {
		return "(" + test + ")"
	}
	return test
}

// oneOf is StringEquals, in which nothing is a wildcard.
func (c *comparison) oneOf(values []string) (string, error) {
	if c.key.kind != textKey {
		return "", fmt.Errorf("the key holds values of another kind")
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		if strings.Contains(v, "${") {
			return "", fmt.Errorf("%+q depends on the caller by a variable: write a condition on claims in the Policy instead", v)
		}
		quoted[i] = strconv.Quote(v)
	}
	if len(quoted) == 1 {
		return c.either([]string{"string(" + valueOf + ") == " + quoted[0]}), nil
	}
	return c.either([]string{"string(" + valueOf + ") in [" + strings.Join(quoted, ", ") + "]"}), nil
}

// patterns are regular expressions that match the whole value.
func (c *comparison) patterns(values []string) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		m, err := marked(v)
		if c.base == "StringEqualsIgnoreCase" {
			if m = v; !plain(v) || strings.Contains(v, "${") {
				err = fmt.Errorf("%+q depends on the caller by a variable, or holds control characters", v)
			}
		}
		if err != nil {
			return nil, err
		}
		parts := []string{m}
		if strings.HasPrefix(c.base, "Arn") {
			if parts = strings.SplitN(m, ":", 6); len(parts) != 6 {
				return nil, fmt.Errorf("%+q is no ARN", v)
			}
		}
		for j, part := range parts {
			parts[j] = expression(part, j == len(parts)-1)
			if c.base == "StringEqualsIgnoreCase" {
				parts[j] = anyCase(part)
			}
		}
		out[i] = "string(" + valueOf + ").matches(" + strconv.Quote("(?s)^"+strings.Join(parts, ":")+"$") + ")"
	}
	return out, nil
}

// expression is a regular expression for a marked pattern; in all but the last part of an ARN wildcards stop at colons.
func expression(m string, last bool) string {
	one := map[bool]string{true: ".", false: "[^:]"}[last]
	quoted := regexp.QuoteMeta(m)
	quoted = strings.ReplaceAll(quoted, string(rune(anyRun)), one+"*")
	return strings.ReplaceAll(quoted, string(rune(anyByte)), one)
}

// anyCase is a regular expression for a text whose letters of ASCII may have either case. Other letters have the one they have: a
// flag for all of them would let through characters that fold to ASCII.
func anyCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r))
		if r < 0x80 && lower != upper {
			b.WriteString("[" + lower + upper + "]")
			continue
		}
		b.WriteString(regexp.QuoteMeta(string(r)))
	}
	return b.String()
}

func bools(values []string) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		v = strings.ToLower(v)
		if v != "true" && v != "false" {
			return nil, fmt.Errorf("%+q is neither true nor false", v)
		}
		out[i] = "string(" + valueOf + ") == " + strconv.Quote(v)
	}
	return out, nil
}

// order is what an operator's name ends in, in CEL.
func order(name string) string {
	return map[string]string{"Equals": "==", "LessThan": "<", "LessThanEquals": "<=", "GreaterThan": ">", "GreaterThanEquals": ">="}[name]
}

func (c *comparison) numbers(values []string) ([]string, error) {
	sign := order(strings.TrimPrefix(c.base, "Numeric"))
	out := make([]string, len(values))
	for i, v := range values {
		n, err := strconv.ParseFloat(v, 64)
		if sign == "" || err != nil || n != n || n > 1e15 || n < -1e15 {
			return nil, fmt.Errorf("%+q: the operator or the number cannot be said", v)
		}
		text := strconv.FormatFloat(n, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		out[i] = "double(" + valueOf + ") " + sign + " " + text
	}
	return out, nil
}

func (c *comparison) dates(values []string) ([]string, error) {
	sign := order(strings.TrimPrefix(c.base, "Date"))
	out := make([]string, len(values))
	for i, v := range values {
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			t, err = time.Parse(time.DateOnly, v)
		}
		if sign == "" || sign == "==" || err != nil {
			return nil, fmt.Errorf("%+q: the operator cannot be said, or the time is not of the form 2026-01-31T12:00:00Z", v)
		}
		out[i] = "now " + sign + " timestamp(" + strconv.Quote(t.UTC().Format(time.RFC3339Nano)) + ")"
	}
	return out, nil
}
