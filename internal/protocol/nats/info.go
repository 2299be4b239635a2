package nats

import (
	"encoding/json"
	"fmt"
)

const (
	leastVersion   = "2.9.10" // the oldest that tests know: what the greeting says before the server's own is known
	defaultPayload = 1 << 20  // as servers have it
)

// serverInfo is what of INFO is read, and what of it a client is told. Everything else leads around the gateway, or tells of it:
// the other servers of a cluster, the gateway's own address, a nonce to sign.
type serverInfo struct {
	ServerID     string `json:"server_id"`
	ServerName   string `json:"server_name"`
	Version      string `json:"version"`
	Proto        int    `json:"proto"`
	GitCommit    string `json:"git_commit,omitempty"`
	Go           string `json:"go,omitempty"`
	Headers      bool   `json:"headers"`
	AuthRequired bool   `json:"auth_required,omitempty"`
	TLSRequired  bool   `json:"tls_required,omitempty"`
	TLSAvailable bool   `json:"tls_available,omitempty"`
	MaxPayload   int64  `json:"max_payload"`
	JetStream    bool   `json:"jetstream,omitempty"`
	Domain       string `json:"domain,omitempty"`
	LameDuck     bool   `json:"ldm,omitempty"`
}

func readInfo(text []byte) (*serverInfo, error) {
	i := &serverInfo{}
	if err := json.Unmarshal(text, i); err != nil {
		return nil, fmt.Errorf("the INFO of the server: %w", err)
	}
	if i.MaxPayload <= 0 {
		i.MaxPayload = defaultPayload
	}
	return i, nil
}

// appendInfo appends INFO as a client is told it.
func appendInfo(dst []byte, i *serverInfo) []byte {
	doc, _ := json.Marshal(i) // such a struct always marshals
	dst = append(append(dst, "INFO "...), doc...)
	return append(dst, '\r', '\n')
}
