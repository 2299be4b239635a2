package postgres

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// coded is a fault with a SQLSTATE of its own, where the kind's usual one would mislead drivers.
type coded struct {
	err  *fault.Error
	code string
}

// Error implements error.
func (c *coded) Error() string { return c.err.Error() }

// Unwrap implements errors.Unwrap.
func (c *coded) Unwrap() error { return c.err }

func sayCode(code string, kind fault.Kind, say, hint string) error {
	return &coded{&fault.Error{Op: "postgres", Kind: kind, Say: say, Hint: hint}, code}
}

// sqlstates is what drivers read: classes that pools and retry loops act on sensibly.
var sqlstates = map[fault.Kind]string{
	fault.Unauthenticated: "28P01", // invalid_password
	fault.Denied:          "42501", // insufficient_privilege
	fault.Pending:         "42501",
	fault.Malformed:       "42601", // syntax_error
	fault.Backend:         "08006", // connection_failure
	fault.Unavailable:     "57P03", // cannot_connect_now
	fault.NotFound:        "42704", // undefined_object
	fault.Conflict:        "55000", // object_not_in_prerequisite_state
}

// sqlstate returns the SQLSTATE for an error.
func sqlstate(err error) string {
	var c *coded
	if errors.As(err, &c) {
		return c.code
	}
	if errors.Is(err, gate.ErrBudget) {
		return "53400" // configuration_limit_exceeded
	}
	if errors.Is(err, gate.ErrBusy) {
		return "53300" // too_many_connections
	}
	if s, ok := sqlstates[fault.KindOf(err)]; ok {
		return s
	}
	return "XX000"
}

// appendError appends err as an ErrorResponse, in the words that a client may read.
func appendError(dst []byte, severity string, err error) []byte {
	return appendAnswer(dst, ansError, severity, sqlstate(err), err)
}

// appendNotice appends a NoticeResponse.
func appendNotice(dst []byte, text, hint string) []byte {
	return appendAnswer(dst, ansNotice, "NOTICE", "00000", &fault.Error{Say: text, Hint: hint})
}

func appendAnswer(dst []byte, kind byte, severity, code string, err error) []byte {
	say, hint := fault.Say(err)
	dst, at := openFrame(dst, kind)
	dst = appendErrorField(dst, 'S', severity)
	dst = appendErrorField(dst, 'V', severity)
	dst = appendErrorField(dst, 'C', code)
	var syntax *pgsql.SyntaxError
	if errors.As(err, &syntax) && syntax.Full != "" { // as the server would say it to who wrote the text
		dst = appendErrorField(dst, 'M', syntax.Full)
		if syntax.Position > 0 {
			dst = appendErrorField(dst, 'P', strconv.Itoa(syntax.Position))
		}
		return closeFrame(append(dst, 0), at)
	}
	dst = appendErrorField(dst, 'M', say)
	if hint != "" {
		dst = appendErrorField(dst, 'H', hint)
	}
	return closeFrame(append(dst, 0), at)
}

func appendErrorField(dst []byte, code byte, text string) []byte {
	dst = append(dst, code)
	for i := range len(text) {
		if c := text[i]; c != 0 {
			dst = append(dst, c)
		}
	}
	return append(dst, 0)
}

// appendCoarse appends an error or notice of the server from which everything that may hold a value is gone: what stays
// is the severity, the SQLSTATE, its standard name, and the names of schema, table and constraint. Column and type names,
// detail, hint, context, position and the server's source line go: COPY's context prints cells. Which constraint of a table
// with masked fields was violated, and of which kind it is, would tell of their values: only the class is said, unless
// plain reports that the table has none.
func appendCoarse(dst []byte, kind byte, body []byte, plain func(schema, table string) bool) ([]byte, string) {
	var m pgproto3.ErrorResponse
	if err := m.Decode(body); err != nil {
		m = pgproto3.ErrorResponse{Severity: "ERROR", Code: "XX000"}
	}
	code := m.Code
	if strings.HasPrefix(code, violation) && (code == foreignKey || !plain(m.SchemaName, m.TableName)) {
		code = violation + "000"
		m.ConstraintName = ""
	}
	dst, at := openFrame(dst, kind)
	dst = appendErrorField(dst, 'S', m.Severity)
	if m.SeverityUnlocalized != "" {
		dst = appendErrorField(dst, 'V', m.SeverityUnlocalized)
	}
	dst = appendErrorField(dst, 'C', code)
	dst = appendErrorField(dst, 'M', conditionName(code)+" (the server's words are withheld: they may hold masked values)")
	for _, f := range []struct {
		code byte
		text string
	}{{'s', m.SchemaName}, {'t', m.TableName}, {'n', m.ConstraintName}} {
		if f.text != "" {
			dst = appendErrorField(dst, f.code, f.text)
		}
	}
	return closeFrame(append(dst, 0), at), code
}

// The class of violated constraints, and the one that concerns two tables, of which the server names the referencing one.
const (
	violation  = "23"
	foreignKey = "23503"
)

// plainTable reports whether a table of this session's catalogue holds nothing that m masks. What is not known is not plain.
func (s *session) plainTable(m access.Masks) func(schema, table string) bool {
	return func(schema, table string) bool {
		if s.cat == nil || m == nil {
			return false
		}
		fields, known := s.cat.Fields(schema, table)
		return known && !slices.ContainsFunc(fields, func(f string) bool {
			_, masked := m.Field(f)
			return masked
		})
	}
}

// errorCode returns the SQLSTATE of an ErrorResponse.
func errorCode(body []byte) string {
	s := scan{b: body}
	for !s.bad {
		switch s.byte() {
		case 0:
			return "XX000"
		case 'C':
			return string(s.text())
		default:
			s.text()
		}
	}
	return "XX000"
}

// conditions are the standard's names for classes of SQLSTATE, by their first two characters.
var conditions = map[string]string{
	"00": "successful_completion", "01": "warning", "02": "no_data", "08": "connection_exception", "0A": "feature_not_supported",
	"21": "cardinality_violation", "22": "data_exception", "23": "integrity_constraint_violation", "25": "invalid_transaction_state",
	"26": "invalid_sql_statement_name", "28": "invalid_authorization_specification", "34": "invalid_cursor_name",
	"3D": "invalid_catalog_name", "3F": "invalid_schema_name", "40": "transaction_rollback", "42": "syntax_error_or_access_rule_violation",
	"44": "with_check_option_violation", "53": "insufficient_resources", "54": "program_limit_exceeded",
	"55": "object_not_in_prerequisite_state", "57": "operator_intervention", "58": "system_error", "P0": "plpgsql_error", "XX": "internal_error",
}

func conditionName(code string) string {
	if len(code) >= 2 {
		if n, ok := conditions[code[:2]]; ok {
			return n
		}
	}
	return "error"
}
