package archtest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "gatehouse/"

// arrow is one row of the table.
type arrow struct {
	from    string
	may     []string
	std     bool // nothing from outside the standard library
	because string
}

// arrows says who may import whom within the module. The first row whose pattern matches a package's folder holds for it;
// a package without a row is refused. In patterns * matches one path element, and /... everything below.
var arrows = []arrow{
	{"internal/access", nil, true, "the nouns import nothing, so that everybody can import them"},
	{"internal/fault", nil, true, "the kinds of error import nothing, so that everybody can import them"},
	{"internal/gate", []string{"internal/access", "internal/fault", "internal/http1"}, true, "the kernel is read in one sitting: it asks everything else through its own small interfaces"},
	{"internal/heap", nil, true, "the collector knows nothing of what is collected"},
	{"internal/http1", nil, true, "an HTTP client knows nothing of who uses it"},
	{"internal/mask/*", []string{"internal/access", "internal/mask"}, true, "what hides values in documents is pure, and borrows nothing"},
	{"internal/wire/wiretest", []string{"internal/access", "internal/fault", "internal/gate", "internal/wire", "internal/mask"}, false, "the conformance suite knows the contract, and no protocol"},
	{"internal/wire/coding", nil, false, "content codings are bytes to bytes: they know nothing of who sends them"},
	{"internal/wire/exchange", []string{"internal/access", "internal/fault", "internal/gate", "internal/wire", "internal/wire/coding", "internal/mask", "internal/mask/*"}, false, "what protocols of requests do alike, and no protocol"},
	{"internal/wire/message", []string{"internal/access", "internal/fault", "internal/wire/coding", "internal/mask", "internal/mask/*"}, false, "what protocols of messages do alike, and no protocol"},
	{"internal/wire", []string{"internal/access", "internal/fault", "internal/gate", "internal/mask"}, false, "the contract stands between protocols and the rest and knows neither; it hands on the pure library mask"},
	{"internal/protocol", []string{"internal/wire", "internal/protocol/*"}, false, "the list is one line per protocol"},
	{"internal/protocol/...", []string{"internal/access", "internal/fault", "internal/gate", "internal/wire", "internal/wire/exchange", "internal/wire/message", "internal/wire/coding", "internal/sql", "internal/sql/*", "internal/mask", "internal/mask/*"}, false, "a protocol speaks; it never imports another one or a service, and may use the pure libraries sql and mask"},
	{"internal/sql/...", []string{"internal/access", "internal/fault", "internal/sql"}, false, "understanding a statement needs its text and a catalogue, nothing else"},
	{"internal/sql", []string{"internal/access", "internal/fault"}, false, "understanding a statement needs its text and a catalogue, nothing else"},
	{"internal/session", []string{"internal/access", "internal/fault", "internal/gate", "internal/wire"}, false, "the data path gets its protocol and its services as values"},
	{"internal/listen", []string{"internal/access", "internal/fault", "internal/gate", "internal/wire", "internal/session"}, false, "a listener accepts and hands over"},
	{"internal/api", []string{"internal/access", "internal/fault", "internal/wire"}, false, "the API shows the nouns; services are its own small interfaces"},
	{"internal/cli", []string{"internal/access", "internal/fault", "internal/api/message"}, false, "commands speak to the API; what runs the gateway is passed in by main"},
	{"internal/cli/...", []string{"internal/access", "internal/fault", "internal/api/message"}, false, "the client knows the API's messages, and no server"},
	{"internal/audit/verify", []string{"internal/access", "internal/fault"}, false, "a verifier that shares code with the writer shares its faults"},
	{"internal/devissuer", []string{"internal/access", "internal/fault"}, false, "a service; only main and tests may link it"},
	{"internal/archtest", nil, false, "the rules stand outside"},
	{"internal/*", []string{"internal/access", "internal/fault"}, false, "services import only the nouns and never each other: main brings them together"},
	{"internal/*/*", []string{"internal/access", "internal/fault"}, false, "a part of a service imports only the nouns"},
	{"cmd/...", []string{"internal/...", "cmd/..."}, false, "main wires everything"},
	{"e2e/...", []string{"e2e/..."}, false, "end-to-end tests know the binary, never its insides"},
	{"e2e", []string{"e2e/..."}, false, "end-to-end tests know the binary, never its insides"},
	{"demo", []string{"e2e/..."}, false, "the demo tells a story with the binary that a user has"},
	{"bench", []string{"e2e/..."}, false, "benchmarks measure the binary"},
	{"bench/...", []string{"e2e/..."}, false, "benchmarks measure the binary"},
	{"scripts/...", []string{"e2e/..."}, false, "scripts drive the binary"},
}

func checkImports(files []*source) []breach {
	dir := files[0].dir()
	row := slices.IndexFunc(arrows, func(a arrow) bool { return matches(a.from, dir) })
	if row < 0 {
		return []breach{{files[0].path, dir, fmt.Sprintf("package %s has no row in the table of arrows: add one, with its reason", dir)}}
	}
	var bad []breach
	for _, s := range files {
		for _, i := range s.ast.Imports {
			target, err := strconv.Unquote(i.Path.Value)
			if err != nil || mayImport(dir, target, arrows[row].may, arrows[row].std) {
				continue
			}
			bad = append(bad, breach{s.line(i), dir + " -> " + target,
				fmt.Sprintf("%s must not import %s: %s", dir, target, arrows[row].because)})
		}
	}
	return bad
}

func mayImport(dir, target string, may []string, std bool) bool {
	local, ok := strings.CutPrefix(target, module)
	if !ok {
		first, _, _ := strings.Cut(target, "/")
		return !std || !strings.Contains(first, ".") // the standard library's first elements have no dot
	}
	if strings.HasPrefix(local, "internal/") && strings.HasSuffix(local, "test") && !strings.HasSuffix(dir, "test") {
		return false // what serves tests is linked into tests
	}
	if s := service(dir); s != "" && s == service(local) && !strings.HasSuffix(local, "/verify") && !strings.HasSuffix(dir, "/verify") {
		return true // the parts of one service may use each other, but the writer never the verifier, nor it the writer
	}
	return slices.ContainsFunc(may, func(p string) bool { return matches(p, local) })
}

// service is the folder that a package of a service lies in. Protocols and dialects are no parts of one: each stands alone.
func service(dir string) string {
	parts := strings.Split(dir, "/")
	if len(parts) < 2 || parts[0] != "internal" {
		return ""
	}
	if parts[1] != "protocol" && parts[1] != "sql" {
		return parts[1]
	}
	if len(parts) < 3 {
		return ""
	}
	return parts[1] + "/" + parts[2]
}

// matches reports whether a folder fits a pattern: * is one element, a trailing /... is anything below.
func matches(pattern, dir string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(dir, base+"/")
	}
	ok, err := path.Match(pattern, dir)
	return ok && err == nil
}
