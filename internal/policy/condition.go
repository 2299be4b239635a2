package policy

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
)

// Limits on a condition. Cost is in CEL's units, about one per operation: the limit is some milliseconds of work.
const (
	maxCondition      = 4096
	maxConditionNodes = 500
	maxConditionDepth = 40
	maxCost           = 100_000
	maxRegexProgram   = 1000
)

// reads says which variables a condition reads.
type reads uint16

const (
	readsCaller    reads = 1 << iota // principal and claims: fixed for a session
	readsPlace                       // connection: fixed for a session
	readsAction                      // the statement and its actions
	readsText                        // action.text
	readsParams                      // params
	readsTime                        // now
	readsEstimated                   // action.estimated_rows
	readsRequest                     // request and message, but for their bodies
	readsBody                        // request.body, message.body
)

const (
	readsSession = readsCaller | readsPlace
	readsInput   = readsParams | readsTime | readsEstimated | readsRequest | readsBody // what only a running request knows
)

// variable is one variable of conditions.
type variable struct {
	name string
	typ  *cel.Type
	read reads
}

// variables are all that a condition can read; bindings read those of the caller only. The names are qualified, so that
// an unknown key is an error when a document is written.
func variables() []variable {
	return []variable{
		{"principal.issuer", cel.StringType, readsCaller},
		{"principal.subject", cel.StringType, readsCaller},
		{"principal.kind", cel.StringType, readsCaller},
		{"claims", cel.MapType(cel.StringType, cel.DynType), readsCaller},
		{"connection.name", cel.StringType, readsPlace},
		{"connection.type", cel.StringType, readsPlace},
		{"action.name", cel.StringType, readsAction},
		{"action.resource", cel.StringType, readsAction},
		{"action.bounded", cel.BoolType, readsAction},
		{"action.text", cel.StringType, readsAction | readsText},
		{"action.estimated_rows", cel.IntType, readsEstimated},
		{"params", cel.ListType(cel.DynType), readsParams},
		{"now", cel.TimestampType, readsTime},
		{"request.method", cel.StringType, readsRequest},
		{"request.path", cel.StringType, readsRequest},
		{"request.content_type", cel.StringType, readsRequest},
		{"request.size", cel.IntType, readsRequest},
		{"request.params", cel.MapType(cel.StringType, cel.DynType), readsRequest},
		{"request.query", cel.MapType(cel.StringType, cel.DynType), readsRequest},
		{"request.headers", cel.MapType(cel.StringType, cel.DynType), readsRequest},
		{"request.body", cel.DynType, readsBody},
		{"message.exchange", cel.StringType, readsRequest},
		{"message.routing_key", cel.StringType, readsRequest},
		{"message.queue", cel.StringType, readsRequest},
		{"message.subject", cel.StringType, readsRequest},
		{"message.reply_to", cel.StringType, readsRequest},
		{"message.content_type", cel.StringType, readsRequest},
		{"message.content_encoding", cel.StringType, readsRequest},
		{"message.size", cel.IntType, readsRequest},
		{"message.redelivered", cel.BoolType, readsRequest},
		{"message.headers", cel.MapType(cel.StringType, cel.DynType), readsRequest},
		{"message.properties", cel.MapType(cel.StringType, cel.DynType), readsRequest},
		{"message.body", cel.DynType, readsBody},
	}
}

// language compiles conditions over some of the variables.
type language struct {
	env   *cel.Env
	reads map[string]reads
}

func newLanguage(visible reads) (*language, error) {
	l := &language{reads: map[string]reads{}}
	opts := []cel.EnvOption{
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.ExpressionNodeLimit(maxConditionNodes),
		cel.RegexProgramSizeLimit(maxRegexProgram),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals(),
			cel.ValidateComprehensionNestingLimit(2)),
	}
	for _, v := range variables() {
		if v.read&^visible == 0 {
			opts = append(opts, cel.Variable(v.name, v.typ))
			l.reads[v.name] = v.read
		}
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("the language of conditions: %w", err)
	}
	l.env = env
	return l, nil
}

// condition is a compiled condition.
type condition struct {
	text    string
	reads   reads
	program cel.Program
}

// conditionError is one error in the text of a condition.
type conditionError struct{ say, caret string }

func (l *language) compile(text string) (*condition, []conditionError) {
	if len(text) > maxCondition {
		return nil, []conditionError{{say: fmt.Sprintf("a condition is longer than %d bytes", maxCondition)}}
	}
	ast, issues := l.env.Compile(text)
	if issues != nil && issues.Err() != nil {
		return nil, l.errors(text, issues)
	}
	if ast.OutputType() != cel.BoolType {
		return nil, []conditionError{{say: fmt.Sprintf("a condition must be true or false; this one is a %s",
			cel.FormatCELType(ast.OutputType())), caret: pointAt(text, 1, 0)}}
	}
	program, err := l.env.Program(ast, l.options(ast)...)
	if err != nil {
		return nil, []conditionError{{say: "the condition cannot be compiled: " + err.Error(), caret: pointAt(text, 1, 0)}}
	}
	c := &condition{text: text, program: program}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		c.reads |= l.reads[ref.Name]
	}
	return c, nil
}

// options leaves the tracking of cost out where no input can make the condition costly: it doubles the time.
func (l *language) options(ast *cel.Ast) []cel.ProgramOption {
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if estimate, err := l.env.EstimateCost(ast, unknownSizes{}); err != nil || estimate.Max > maxCost {
		opts = append(opts, cel.CostLimit(maxCost))
	}
	return opts
}

func (l *language) errors(text string, issues *cel.Issues) []conditionError {
	var all []conditionError
	for _, e := range issues.Errors() {
		if len(all) == 3 { // what follows is mostly echoes of the first
			break
		}
		say := strings.TrimSuffix(e.Message, " (in container '')")
		if strings.HasPrefix(say, "undeclared reference to") {
			say = l.unknownVariable(text, e.Location.Line(), e.Location.Column(), say)
		}
		all = append(all, conditionError{say: say, caret: pointAt(text, e.Location.Line(), e.Location.Column())})
	}
	if len(all) == 0 {
		all = append(all, conditionError{say: issues.Err().Error()})
	}
	return all
}

// unknownVariable words the error about an unknown name, which CEL gives without what follows its first dot.
func (l *language) unknownVariable(text string, line, column int, otherwise string) string {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) || column < 0 || column > len(lines[line-1]) {
		return otherwise
	}
	rest := lines[line-1][column:]
	name := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."))]
	if name == "" {
		return otherwise
	}
	known := keys(l.reads)
	return fmt.Sprintf("undeclared name %s%s; known: %s", name, didYouMean(name, known), strings.Join(known, ", "))
}

// pointAt shows one line of a condition (counted from 1) with a caret below a column (counted from 0, in characters).
func pointAt(text string, line, column int) string {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	shown := strings.ReplaceAll(lines[line-1], "\t", " ")
	return shown + "\n" + strings.Repeat(" ", min(max(column, 0), len(shown))) + "^"
}

// unknownSizes is the cost estimator for inputs of any size.
type unknownSizes struct{}

// EstimateSize implements cost.Estimator.
func (unknownSizes) EstimateSize(cost.AstNode) *cost.SizeEstimate { return nil }

// EstimateCallCost implements cost.Estimator.
func (unknownSizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
