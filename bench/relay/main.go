// Relay is the plainest proxy that Go can have: two goroutines for each connection, each with io.Copy, as everyone would
// write it. It is what the benchmarks compare processor time with, since a proxy that reads nothing does the least there
// is to do. With -cert it ends TLS on both sides, as a gateway has to: it answers the request for TLS that clients of
// PostgreSQL send first, and sends its own to the server.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

// askTLS is PostgreSQL's SSLRequest: eight bytes, answered by one.
const askTLS = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

type relay struct {
	to             string
	client, server *tls.Config // nil: both sides in clear
}

func main() {
	to := flag.String("to", "", "`address` of the server")
	cert := flag.String("cert", "", "certificate `file`, PEM: speak TLS on both sides")
	key := flag.String("key", "", "its key `file`, PEM")
	ca := flag.String("ca", "", "root `file` of the server's certificate, PEM")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "relay:", run(relay{to: *to}, *cert, *key, *ca))
	os.Exit(1)
}

// run says on standard output where it listens, and serves until it is killed, or returns why it cannot.
func run(r relay, cert, key, ca string) error {
	if cert != "" {
		if err := r.useTLS(cert, key, ca); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() { _ = r.serve(c) }() // a connection that breaks is its client's to report
	}
}

func (r *relay) useTLS(cert, key, ca string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	roots, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return errors.New(ca + " holds no certificate")
	}
	host, _, err := net.SplitHostPort(r.to)
	if err != nil {
		return err
	}
	r.client = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	r.server = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: host}
	return nil
}

func (r *relay) serve(client net.Conn) error {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	if r.client != nil {
		if client, server, err = r.secure(client, server); err != nil {
			return err
		}
	}
	done := make(chan error, 2)
	go pipe(done, server, client)
	go pipe(done, client, server)
	return <-done // the end of either way is the end of both
}

func pipe(done chan<- error, to io.Writer, from io.Reader) {
	_, err := io.Copy(to, from)
	done <- err
}

func (r *relay) secure(client, server net.Conn) (net.Conn, net.Conn, error) {
	asked := make([]byte, len(askTLS))
	if _, err := io.ReadFull(client, asked); err != nil || string(asked) != askTLS {
		return nil, nil, errors.Join(errors.New("the client does not ask for TLS"), err)
	}
	if _, err := client.Write([]byte{'S'}); err != nil {
		return nil, nil, err
	}
	if _, err := server.Write(asked); err != nil {
		return nil, nil, err
	}
	if _, err := io.ReadFull(server, asked[:1]); err != nil || asked[0] != 'S' {
		return nil, nil, errors.Join(errors.New("the server speaks no TLS"), err)
	}
	return tls.Server(client, r.client), tls.Client(server, r.server), nil
}
