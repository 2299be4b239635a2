// Reverse is Go's ReverseProxy with a transport that keeps enough connections: the least that a proxy of requests in Go costs.
// It is what the benchmarks of requests compare with. Its default transport keeps two connections to a host, and is half as
// fast.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
)

func main() {
	to := flag.String("to", "", "`URL` of the server")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "reverse:", run(*to))
	os.Exit(1)
}

// run says on standard output where it listens, and serves until it is killed, or returns why it cannot.
func run(to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	p := &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:  &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10},
		BufferPool: new(buffers),
		ErrorLog:   log.New(io.Discard, "", 0), // clients that leave in the middle of an answer are no news
	}
	return http.Serve(l, p)
}

// buffers are what answers are copied through.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
