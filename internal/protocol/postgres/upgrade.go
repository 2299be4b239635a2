package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"

	"gatehouse/internal/fault"
)

// upgrade asks a backend for TLS and shakes hands; without a configuration it returns raw.
func upgrade(ctx context.Context, raw net.Conn, conf *tls.Config) (net.Conn, error) {
	if conf == nil {
		return raw, nil
	}
	ask := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, codeTLS)
	if _, err := raw.Write(ask); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(raw, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, fault.New(fault.Backend, "postgres.upgrade", "the backend does not speak TLS")
	}
	t := tls.Client(raw, conf)
	return t, t.HandshakeContext(ctx)
}
