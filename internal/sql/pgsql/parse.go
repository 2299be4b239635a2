package pgsql

import (
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// parserLock lets one thread at a time into the C library, because each of its calls points the process's file
// descriptor 2 at a pipe and back again: two at once could leave it at a pipe that nobody reads, and the next write to
// it would end the process. What belongs to the whole process needs a lock for the whole process. What is written to
// descriptor 2 during a call is lost, so that whoever logs must do so on a duplicate of it.
var parserLock sync.Mutex

// scanText returns the tokens of a text, comments among them.
func scanText(text string) ([]*pg.ScanToken, error) {
	parserLock.Lock()
	r, err := pg.Scan(text)
	parserLock.Unlock()
	if err != nil {
		return nil, syntaxError(text, err)
	}
	return r.Tokens, nil
}

// parseText returns the tree of a text whose size, depth and scanning cost are known to be bounded.
func parseText(text string) (*pg.ParseResult, error) {
	parserLock.Lock()
	defer parserLock.Unlock()
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, syntaxError(text, err)
	}
	return tree, nil
}

// maxScanCost bounds scanCost: some 0.1 s.
const maxScanCost = 4 << 20

// scanCost estimates, in bytes read, how often the scanner reads parts of a text again. It reads a whole run of operator
// characters to take one operator or the start of a comment from its front, so that a run of many costs their square:
// "/**//**/..." or "+++...".
func scanCost(text string) int {
	const operators = "+-*/<>=~!@#%^&|`?"
	cost, length, starts := 0, 0, 0
	prev := byte(0)
	for i := 0; i < len(text); i++ {
		b := text[i]
		if strings.IndexByte(operators, b) < 0 {
			cost += length * starts
			length, starts, prev = 0, 0, 0
			continue
		}
		length++
		if b == '+' || b == '-' && prev != '-' || b == '*' && prev == '/' {
			starts++
		}
		prev = b
	}
	return cost + length*starts
}
