package aws

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
)

// packed is what scripts/awsmodels wrote: tab-separated lines, compressed. A line that begins with = is a service:
//
//	= id endpoint signing-name protocols target-prefix version host region sensitive-members
//
// host and region are there for services with one host for all regions. Every other line is an operation of the service above:
//
//	name method path flags host-prefix places
//
// flags and places are as scripts/awsmodels describes them.
//
//go:embed models/services.txt.gz
var packed []byte

const (
	maxModels   = 16 << 20 // bytes of a table of models, unpacked
	maxServices = 2000
)

// dialect is how a service's calls are written.
type dialect string

const (
	dialectJSON  dialect = "json"
	dialectQuery dialect = "query"
	dialectEC2   dialect = "ec2"
	dialectREST  dialect = "rest-json"
	dialectXML   dialect = "rest-xml"
	dialectCBOR  dialect = "smithy-rpc-v2-cbor"
)

// models is every service that is understood. It is immutable.
type models struct {
	services  []*service
	bySigning map[string][]*service // the name that signatures are made for; the service of the same id comes first
}

// service is one service.
type service struct {
	id         string
	endpoint   string // what its hosts begin with
	signing    string // what signatures are made for
	prefix     string // what its actions begin with in policies
	dialects   []dialect
	target     string // X-Amz-Target before the operation; in CBOR the service's name in the path
	version    string // of its Query interface
	host       string // the one host of a service without regions; "" elsewhere
	region     string // the region that its signatures name
	sensitive  map[string]bool
	operations map[string]*operation
	routes     map[string][]*operation // by method, for REST
}

// operation is one operation of a service.
type operation struct {
	service    *service
	name       string
	method     string
	path       []label
	literals   []parameter // of the query, that name the operation
	hostPrefix string
	input      bool // the body is bytes, not parameters
	output     bool // so is the answer's
	events     bool // the body is a stream of events
	stream     bool // the answer is
	noAuth     bool
	must       []string // query parameters without which it is another operation
	may        []string // other query parameters
	lists      []string // those of either that may stand there more than once
	members    []string // parameters in the body, by the names that they have there
	told       bool     // the table says which: those of before it did not
	any        bool     // the query may hold any name
	headers    []string // headers without which it is another operation
}

// label is one element of a path template.
type label struct {
	text   string // literal, or the parameter's name
	param  bool
	greedy bool // takes several elements
}

type parameter struct {
	name, value string
	plain       bool // the template has the name alone
}

// opened is the table in the binary. It is read when the protocol is made.
func opened() (*models, error) { return unpack(bytes.NewReader(packed)) }

// unpack reads a table, compressed or not.
func unpack(r io.Reader) (*models, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("read the table of service models: %w", err)
	}
	r = io.MultiReader(bytes.NewReader(head), r)
	if head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read the table of service models: %w", err)
		}
		r = z
	}
	text, err := io.ReadAll(io.LimitReader(r, maxModels+1))
	if err != nil {
		return nil, fmt.Errorf("read the table of service models: %w", err)
	}
	if len(text) > maxModels {
		return nil, fmt.Errorf("the table of service models is larger than %d bytes", maxModels)
	}
	return parseModels(string(text))
}

func parseModels(text string) (*models, error) {
	m := &models{bySigning: map[string][]*service{}}
	var s *service
	number := 0
	for line := range strings.Lines(text) {
		number++
		cells := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		at := func(i int) string {
			if i < len(cells) {
				return cells[i]
			}
			return ""
		}
		if cells[0] == "=" {
			s = newService(at)
			if s.id == "" || s.signing == "" || len(m.services) >= maxServices {
				return nil, fmt.Errorf("service models, line %d: a service needs an id and the name that it is signed for, and there may be %d", number, maxServices)
			}
			m.services = append(m.services, s)
			continue
		}
		if s == nil || cells[0] == "" {
			return nil, fmt.Errorf("service models, line %d: an operation without a service, or without a name", number)
		}
		o, err := newOperation(s, at)
		if err != nil {
			return nil, fmt.Errorf("service models, line %d: %w", number, err)
		}
		s.operations[o.name] = o
		if o.method != "" {
			s.routes[o.method] = append(s.routes[o.method], o)
		}
	}
	if len(m.services) == 0 {
		return nil, fmt.Errorf("the table of service models is empty")
	}
	for _, s := range m.services {
		list := m.bySigning[s.signing]
		if s.id == s.signing {
			list = slices.Insert(list, 0, s)
		} else {
			list = append(list, s)
		}
		m.bySigning[s.signing] = list
	}
	return m, nil
}

func newService(at func(int) string) *service {
	s := &service{
		id: at(1), endpoint: at(2), signing: at(3), target: at(5), version: at(6), host: at(7), region: at(8),
		operations: map[string]*operation{}, routes: map[string][]*operation{}, sensitive: map[string]bool{},
	}
	s.prefix = prefixOf(s)
	for _, d := range strings.Split(at(4), ",") {
		s.dialects = append(s.dialects, dialect(d))
	}
	for _, name := range strings.Fields(at(9)) {
		s.sensitive[name] = true
	}
	return s
}

func newOperation(s *service, at func(int) string) (*operation, error) {
	flags := at(3)
	o := &operation{
		service: s, name: at(0), method: at(1), hostPrefix: at(4),
		input: strings.Contains(flags, "i"), output: strings.Contains(flags, "o"),
		events: strings.Contains(flags, "e"), stream: strings.Contains(flags, "s"), noAuth: strings.Contains(flags, "n"),
	}
	for _, place := range strings.Fields(at(5)) {
		if one, list := strings.CutSuffix(place, "[]"); list {
			place = one
			o.lists = append(o.lists, one[1:])
		}
		switch {
		case place[0] == '+':
			if o.told = true; place != "+" {
				o.members = append(o.members, place[1:])
			}
		case place == "?*":
			o.any = true
		case place[0] == '?':
			o.may = append(o.may, place[1:])
		case place[0] == '!':
			o.must = append(o.must, place[1:])
		case place[0] == '^':
			o.headers = append(o.headers, place[1:])
		default:
			return nil, fmt.Errorf("%q is no place of a parameter", place)
		}
	}
	if o.method == "" {
		return o, nil
	}
	return o, o.template(at(2))
}

// template reads a path such as /{Bucket}/{Key+}?uploads.
func (o *operation) template(text string) error {
	path, query, _ := strings.Cut(text, "?")
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("the path %q does not begin with a slash", text)
	}
	for _, element := range strings.Split(path[1:], "/") {
		l := label{text: element}
		if inner, ok := strings.CutPrefix(element, "{"); ok {
			inner, ok = strings.CutSuffix(inner, "}")
			if !ok {
				return fmt.Errorf("the path %q has braces that stand for a part of an element", text)
			}
			l.param = true
			l.text, l.greedy = strings.CutSuffix(inner, "+")
		}
		o.path = append(o.path, l)
	}
	if query == "" {
		return nil
	}
	for _, p := range strings.Split(query, "&") {
		name, value, found := strings.Cut(p, "=")
		o.literals = append(o.literals, parameter{name: name, value: value, plain: !found})
	}
	return nil
}

// speaks reports whether a service has a dialect.
func (s *service) speaks(d dialect) bool { return slices.Contains(s.dialects, d) }
