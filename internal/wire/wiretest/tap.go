package wiretest

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// tap is the only way from the gateway to the backend: the connection's document names an address that does not exist,
// and the gate's dialler is the tap. It keeps every byte that leaves, in the order of the writes.
type tap struct {
	address string

	mu     sync.Mutex
	total  int
	got    int // bytes that were read from backends
	lines  []*line
	broken bool // no backend can be reached any more
	chop   int  // bytes that a read of the backend's answers returns at most; 0 is no limit
}

// line is one connection to the backend.
type line struct {
	net.Conn
	tap    *tap
	sent   []byte
	writes []write
	closed chan struct{}
	once   sync.Once
}

// write is where one write begins: in the line, and among all bytes of the tap.
type write struct{ at, total int }

func (p *tap) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	p.mu.Lock()
	broken := p.broken
	p.mu.Unlock()
	if broken {
		return nil, net.ErrClosed
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, p.address)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: conn, tap: p, closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, l)
	return l, nil
}

// Write implements net.Conn.
func (l *line) Write(b []byte) (int, error) {
	l.tap.mu.Lock()
	l.writes = append(l.writes, write{len(l.sent), l.tap.total})
	l.sent = append(l.sent, b...)
	l.tap.total += len(b)
	l.tap.mu.Unlock()
	return l.Conn.Write(b)
}

// Read implements net.Conn.
func (l *line) Read(b []byte) (int, error) {
	l.tap.mu.Lock()
	chop := l.tap.chop
	l.tap.mu.Unlock()
	if chop > 0 && len(b) > chop {
		b = b[:chop]
	}
	n, err := l.Conn.Read(b)
	l.tap.mu.Lock()
	l.tap.got += n
	l.tap.mu.Unlock()
	return n, err
}

// breakLines ends every connection to the backend, and lets no other begin.
func (p *tap) breakLines() {
	p.mu.Lock()
	p.broken = true
	lines := p.lines
	p.mu.Unlock()
	for _, l := range lines {
		_ = l.Close()
	}
}

// received is how much backends have said.
func (p *tap) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

func (p *tap) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

func (p *tap) dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

func (p *tap) setChop(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chop = n
}

// snapshot returns what each line was sent.
func (p *tap) snapshot() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([][]byte, len(p.lines))
	for i, l := range p.lines {
		out[i] = bytes.Clone(l.sent)
	}
	return out
}

// find returns how many bytes had left before the write that holds mark, and whether there is one.
func (p *tap) find(mark string) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		at := bytes.Index(l.sent, []byte(mark))
		if at < 0 {
			continue
		}
		total := 0
		for _, w := range l.writes {
			if w.at <= at {
				total = w.total
			}
		}
		return total, true
	}
	return 0, false
}
