package pgsql

import (
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A function that cannot fail while only one of its arguments varies does fail if another is bad, and it is not called where
// the varying one is NULL: so that a bad one tells of each row whether a value is missing. What is fixed must therefore be
// known to be good, or the function tests.

// mostFixed bounds lengths and positions that are given as literals; together with a column they fit.
const mostFixed = 1 << 20

// fixedFits says whether the fixed arguments of a function of classFirst or classSecond are known to be good.
func fixedFits(name string, args []*pg.Node, values []value) bool {
	switch name {
	case "left", "right", "ltrim", "rtrim", "position", "replace", "string_to_array", "translate", "trunc", "jsonb_extract_path",
		"jsonb_extract_path_text":
		return true
	case "substr":
		return len(args) < 3 || fixedInt(args[2], 0)
	case "substring":
		return len(args) == 2 && (fixedInt(args[1], -mostFixed) || fixedPattern(args[1])) ||
			len(args) == 3 && fixedInt(args[1], -mostFixed) && fixedInt(args[2], 0)
	case "overlay":
		return len(args) == 3 && fixedInt(args[2], 1) || len(args) == 4 && fixedInt(args[2], 1) && fixedInt(args[3], 0)
	case "lpad", "rpad":
		return len(args) > 1 && fixedInt(args[1], -mostFixed)
	case "split_part":
		return len(args) == 3 && fixedInt(args[2], 1)
	case "encode":
		return len(args) == 2 && slices.Contains([]string{"hex", "base64", "escape"}, fixedText(args[1]))
	case "normalize", "is_normalized":
		return len(args) == 1 || len(args) == 2 && slices.Contains([]string{"NFC", "NFD", "NFKC", "NFKD"}, fixedText(args[1]))
	case "date_part", "extract":
		return len(args) == 2 && fixedUnit(fixedText(args[0]), values[1])
	}
	return fixedExpression(name, args)
}

// fixedExpression says whether a function of regular expressions is called with a good one, and with no more than options
// that it surely takes.
func fixedExpression(name string, args []*pg.Node) bool {
	if !strings.HasPrefix(name, "regexp_") || len(args) < 2 || !fixedPattern(args[1]) {
		return false
	}
	if name == "regexp_replace" {
		return len(args) == 3 || len(args) == 4 && isFixedText(args[3]) && strings.Trim(fixedText(args[3]), "gi") == ""
	}
	return len(args) == 2 || len(args) == 3 && fixedText(args[2]) == "i"
}

// fixedInt says whether n is a number from least to mostFixed.
func fixedInt(n *pg.Node, least int32) bool {
	c, ok := n.GetAConst().GetVal().(*pg.A_Const_Ival)
	return ok && c.Ival.GetIval() >= least && c.Ival.GetIval() <= mostFixed
}

func isFixedText(n *pg.Node) bool {
	_, ok := n.GetAConst().GetVal().(*pg.A_Const_Sval)
	return ok
}

func fixedText(n *pg.Node) string { return n.GetAConst().GetSval().GetSval() }

// fixedUnit says whether a column's type has a part of a date.
func fixedUnit(unit string, of value) bool {
	switch of.typ {
	case 1082, 1114, 1184, 1186: // date, timestamp, timestamptz, interval
		return slices.Contains([]string{"year", "month", "day", "quarter", "decade", "century", "epoch"}, strings.ToLower(unit))
	}
	return false
}

// fixedPattern says whether n is a regular expression that the server surely takes: one that Go's library takes, without
// what both read differently.
func fixedPattern(n *pg.Node) bool {
	const longest = 256
	if !isFixedText(n) || len(fixedText(n)) > longest {
		return false
	}
	p := fixedText(n)
	for _, differs := range []string{`\`, "{", "(?", "[:", "[.", "[=", "^*", "^+", "^?", "$*", "$+", "$?", "**", "++", "??", "*+", "?+", "+*", "?*"} {
		if strings.Contains(p, differs) {
			return false
		}
	}
	_, err := regexp.Compile(p)
	return err == nil
}
