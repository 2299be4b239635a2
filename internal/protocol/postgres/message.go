package postgres

import (
	"encoding/binary"

	"gatehouse/internal/fault"
)

// Message types of the client.
const (
	msgQuery     = 'Q'
	msgParse     = 'P'
	msgBind      = 'B'
	msgDescribe  = 'D'
	msgExecute   = 'E'
	msgClose     = 'C'
	msgSync      = 'S'
	msgFlush     = 'H'
	msgTerminate = 'X'
	msgCopyData  = 'd'
	msgCopyDone  = 'c'
	msgCopyFail  = 'f'
	msgFunction  = 'F'
	msgPassword  = 'p'
)

// Message types of the server.
const (
	ansAuthentication   = 'R'
	ansParseComplete    = '1'
	ansBindComplete     = '2'
	ansCloseComplete    = '3'
	ansNotification     = 'A'
	ansCommandComplete  = 'C'
	ansDataRow          = 'D'
	ansError            = 'E'
	ansCopyIn           = 'G'
	ansCopyOut          = 'H'
	ansEmptyQuery       = 'I'
	ansNotice           = 'N'
	ansNoData           = 'n'
	ansParameterStatus  = 'S'
	ansParameters       = 't'
	ansPortalSuspended  = 's'
	ansReady            = 'Z'
	ansRowDescription   = 'T'
	ansNegotiateVersion = 'v'
	ansKeyData          = 'K'
)

func malformed(what string) error {
	return &fault.Error{Op: "postgres.message", Kind: fault.Malformed, Say: "invalid " + what + " message"}
}

// parseMessage is a Parse: prepare a statement.
type parseMessage struct {
	name  []byte
	text  []byte
	types []uint32
}

func readParse(body []byte) (parseMessage, error) {
	s := scan{b: body}
	m := parseMessage{name: s.text(), text: s.text()}
	n := s.count(s.int16(), 4)
	for range n {
		m.types = append(m.types, uint32(s.int32()))
	}
	if !s.done() {
		return m, malformed("Parse")
	}
	return m, nil
}

// bindMessage is a Bind: give a statement its parameters.
type bindMessage struct {
	portal  []byte
	name    []byte
	formats []byte   // the raw parameter formats, two bytes each
	values  [][]byte // nil is NULL
	results []byte   // the raw result formats, two bytes each
}

func readBind(body []byte, values [][]byte) (bindMessage, error) {
	s := scan{b: body}
	m := bindMessage{portal: s.text(), name: s.text(), values: values[:0]}
	m.formats = s.take(2 * s.count(s.int16(), 2))
	n := s.count(s.int16(), 4)
	for range n {
		size := s.int32()
		if size == -1 {
			m.values = append(m.values, nil)
			continue
		}
		v := s.take(int(size))
		if v == nil {
			v = []byte{}
		}
		m.values = append(m.values, v)
	}
	m.results = s.take(2 * s.count(s.int16(), 2))
	if !s.done() || !formatsFit(m.formats, n) {
		return m, malformed("Bind")
	}
	return m, nil
}

// formatsFit reports whether there are no formats, one for all, or one for each of n, and each is text or binary.
func formatsFit(formats []byte, n int) bool {
	k := len(formats) / 2
	if k > 1 && k != n {
		return false
	}
	for i := range k {
		if formatAt(formats, i) > 1 {
			return false
		}
	}
	return true
}

// formatAt returns the format of item i: 0 is text, 1 is binary.
func formatAt(formats []byte, i int) uint16 {
	switch k := len(formats) / 2; {
	case k == 0:
		return 0
	case k == 1:
		i = 0
	case i >= k:
		return 0
	}
	return binary.BigEndian.Uint16(formats[2*i:])
}

// targetMessage is a Describe or Close: 'S' and a statement's name, or 'P' and a portal's.
type targetMessage struct {
	what byte
	name []byte
}

func readTarget(body []byte, what string) (targetMessage, error) {
	s := scan{b: body}
	m := targetMessage{what: s.byte(), name: s.text()}
	if !s.done() || (m.what != 'S' && m.what != 'P') {
		return m, malformed(what)
	}
	return m, nil
}

// readExecute returns the portal that is to run.
func readExecute(body []byte) ([]byte, error) {
	s := scan{b: body}
	name := s.text()
	s.int32()
	if !s.done() {
		return nil, malformed("Execute")
	}
	return name, nil
}

// readQuery returns the text of a simple query.
func readQuery(body []byte) ([]byte, error) {
	s := scan{b: body}
	text := s.text()
	if !s.done() {
		return nil, malformed("Query")
	}
	return text, nil
}

// field is one column of a RowDescription.
type field struct {
	name   string
	table  uint32
	attnum int16
	typ    uint32
	format uint16
}

func readRowDescription(body []byte) ([]field, error) {
	s := scan{b: body}
	n := s.count(s.int16(), 19)
	fields := make([]field, 0, n)
	for range n {
		f := field{name: string(s.text())}
		f.table = uint32(s.int32())
		f.attnum = int16(s.int16())
		f.typ = uint32(s.int32())
		s.take(6) // size and modifier of the type
		f.format = uint16(s.int16())
		fields = append(fields, f)
	}
	if !s.done() {
		return nil, malformed("RowDescription")
	}
	return fields, nil
}

// appendParse, appendBind and the like build the messages of the gateway's own.

func appendParse(dst []byte, name, text string) []byte {
	dst, at := openFrame(dst, msgParse)
	dst = append(append(dst, name...), 0)
	dst = append(append(dst, text...), 0, 0, 0)
	return closeFrame(dst, at)
}

func appendBind(dst []byte, portal, name string) []byte {
	dst, at := openFrame(dst, msgBind)
	dst = append(append(dst, portal...), 0)
	dst = append(append(dst, name...), 0, 0, 0, 0, 0, 0, 0)
	return closeFrame(dst, at)
}

// appendBindText is appendBind with one parameter, as text.
func appendBindText(dst []byte, portal, name string, value []byte) []byte {
	dst, at := openFrame(dst, msgBind)
	dst = append(append(dst, portal...), 0)
	dst = append(append(dst, name...), 0, 0, 0, 0, 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	dst = append(append(dst, value...), 0, 0)
	return closeFrame(dst, at)
}

func appendExecute(dst []byte, portal string) []byte {
	dst, at := openFrame(dst, msgExecute)
	dst = append(append(dst, portal...), 0, 0, 0, 0, 0)
	return closeFrame(dst, at)
}

func appendTarget(dst []byte, kind, what byte, name string) []byte {
	dst, at := openFrame(dst, kind)
	dst = append(append(append(dst, what), name...), 0)
	return closeFrame(dst, at)
}

func appendQuery(dst []byte, text string) []byte {
	dst, at := openFrame(dst, msgQuery)
	dst = append(append(dst, text...), 0)
	return closeFrame(dst, at)
}

func appendReady(dst []byte, tx byte) []byte { return append(dst, ansReady, 0, 0, 0, 5, tx) }
