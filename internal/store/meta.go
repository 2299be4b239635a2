package store

import (
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// The keys of the meta table.
const (
	metaGateway = "gateway.id"
	metaLock    = "gateway.lock"
)

// Lock says that an operator has stopped the gateway, who and why.
type Lock struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"` // Principal.ID
	At     time.Time `json:"at"`
}

// GatewayID returns the name by which this gateway signs its log: 16 characters, drawn once from random.
func (s *Store) GatewayID(ctx context.Context, random io.Reader) (string, error) {
	var raw [10]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fault.Wrap(fault.Unavailable, "store.GatewayID", err, "cannot read random bytes for the gateway's id")
	}
	fresh := strings.ToLower(base32.StdEncoding.EncodeToString(raw[:]))
	if _, err := s.write.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", metaGateway, fresh); err != nil {
		return "", failed("GatewayID", err)
	}
	id, _, err := s.Meta(ctx, metaGateway)
	return id, err
}

// SetLock records that the gateway is locked. A lock that is there already stays: its reason is the one that counts.
func (s *Store) SetLock(ctx context.Context, reason, by string) error {
	body, err := json.Marshal(Lock{Reason: reason, By: by, At: s.clock().UTC()})
	if err != nil {
		return fault.Wrap(fault.Internal, "store.SetLock", err, "the lock cannot be written")
	}
	_, err = s.write.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING", metaLock, string(body))
	return failed("SetLock", err)
}

// ClearLock removes the lock, if there is one.
func (s *Store) ClearLock(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM meta WHERE key = $1", metaLock)
	return failed("ClearLock", err)
}

// Locked returns the lock, and whether there is one. A lock that cannot be understood is a lock.
func (s *Store) Locked(ctx context.Context) (Lock, bool, error) {
	v, ok, err := s.Meta(ctx, metaLock)
	if err != nil || !ok {
		return Lock{}, false, err
	}
	var l Lock
	if err := json.Unmarshal([]byte(v), &l); err != nil {
		return Lock{Reason: "the stored lock cannot be understood"}, true, nil //nolint:nilerr // locked is the safe answer
	}
	return l, true, nil
}

// Meta returns the value kept under a key, and whether there is one.
func (s *Store) Meta(ctx context.Context, key string) (string, bool, error) {
	var v string
	err := s.read.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = $1", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return v, err == nil, failed("Meta", err)
}

// SetMeta keeps a value under a key.
func (s *Store) SetMeta(ctx context.Context, key, value string) error {
	_, err := s.write.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return failed("SetMeta", err)
}
