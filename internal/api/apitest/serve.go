package apitest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"gatehouse/internal/api"
)

// Running is an API that answers on loopback over TLS.
type Running struct {
	URL  string
	CA   []byte // PEM
	stop context.CancelFunc
	done chan error
}

// Serve starts an API.
func Serve(o api.Options) (*Running, error) {
	s, err := api.New(o)
	if err != nil {
		return nil, err
	}
	pair, ca, err := certificate()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{URL: "https://" + l.Addr().String(), CA: ca, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Serve(ctx, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})) }()
	return r, nil
}

// Close stops it.
func (r *Running) Close() error {
	r.stop()
	return <-r.done
}

func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
