package gate

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// TestTurned: what a backend turned to another protocol is reached through the gate only, under the permit that it was opened with,
// and only while the policies still allow it.
func TestTurned(t *testing.T) {
	e := newEndpoint(t)
	heard := make(chan string, 10)
	e.answer = func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nhello\n")
		for in := bufio.NewScanner(rw); in.Scan(); {
			heard <- in.Text()
		}
		close(heard)
	}
	x := e.exchange(t)
	out := outgoing("GET", "http://backend.test:80/live", "")
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", "test")
	st := statement("dynamic")
	p, err := x.Ask(t.Context(), x.Judge(&st), Request{}, out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Turn(p, nil); err == nil {
		t.Error("turned before it was sent")
	}
	resp, err := x.Send(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, raw := resp.Body.(io.Writer); raw || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Error("the answer lets anybody write to the backend")
	}
	if _, err := x.Turn(Permit{p.slot, p.gen + 1}, nil); err == nil {
		t.Error("turned under another permit")
	}
	turned, err := x.Turn(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(turned).ReadString('\n'); err != nil || said != "hello\n" {
		t.Errorf("%q %v", said, err)
	}
	if err := turned.Send([]byte("frame\n"), []byte("said")); err != nil || <-heard != "frame" {
		t.Error(err)
	}
	if n, _ := x.Digest(); n != 4 {
		t.Errorf("%d bytes are on record", n)
	}
	e.version++
	e.decide = func(*access.Statement, *access.Input) access.Verdict { return access.Verdict{} }
	if err := turned.Send([]byte("denied\n"), nil); fault.KindOf(err) != fault.Denied || fault.KindOf(turned.Still()) != fault.Denied {
		t.Error("under policies that deny it:", err)
	}
	e.version++
	e.decide = func(*access.Statement, *access.Input) access.Verdict { return allow }
	if err := turned.Send([]byte("again\n"), nil); err != nil || <-heard != "again" {
		t.Error(err)
	}
	if err := x.Done(p, Outcome{Status: access.StatusOK}); err != nil {
		t.Fatal(err)
	}
	if err := turned.Send([]byte("after\n"), nil); err == nil || turned.Still() == nil {
		t.Error("sent after the outcome was on record")
	}
	turned.Close()
	if rest, open := <-heard; open {
		t.Errorf("the backend heard %q", rest)
	}
}
