package exchange

import (
	"bufio"
	"io"

	"gatehouse/internal/mask/body"
)

// head is how much of a body is looked at to tell whether it is what it says it is.
const head = 512

// genuine returns a body that begins as one of its class does. Words under such a name are refused: a client may have a say in what an
// answer is called, and has the last word on what its own body is called.
func genuine(src io.ReadCloser, class string) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(src, head)
	if begins, _ := in.Peek(head); len(begins) > 0 && !body.Begun(begins, class) { // what is wrong with the source, Read tells
		return src, unreadable("it is called " + class + ", and does not begin as one does")
	}
	return &buffered{in, src}, nil
}

// buffered is a body of which the beginning was read.
type buffered struct {
	io.Reader
	io.Closer
}
