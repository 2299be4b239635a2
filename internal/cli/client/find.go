package client

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// The files of a state directory that a client reads.
const (
	ReachFile      = "gateway.json"
	AdminTokenFile = "admin.token"
	CAFile         = "tls/ca.pem"
)

// maxFile bounds what is read from a state directory, in bytes.
const maxFile = 1 << 20

// Reach is how a running gateway can be reached: what it writes into its state directory once it listens.
type Reach struct {
	API       string     `json:"api"` // https URL
	Listeners []Listener `json:"listeners"`
	PID       int        `json:"pid"`
	Issuer    string     `json:"issuer,omitempty"` // the local issuer's URL, where there is one
}

// Listener is one address that clients connect to.
type Listener struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
}

// WriteReach puts gateway.json into a state directory, whole or not at all, for its owner to read.
func WriteReach(state string, r Reach) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(state, ReachFile)
	f, err := os.CreateTemp(state, "."+ReachFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// RemoveReach takes gateway.json away when the gateway stops.
func RemoveReach(state string) error {
	err := os.Remove(filepath.Join(state, ReachFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ReadReach reads gateway.json; fault.NotFound where there is none, since then no gateway runs with this state.
func ReadReach(state string) (Reach, error) {
	path := filepath.Join(state, ReachFile)
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Reach{}, &fault.Error{Op: "client.ReadReach", Kind: fault.NotFound, Err: err,
			Say:  "no gateway runs with the state in " + state + " (there is no " + ReachFile + ")",
			Hint: "start one with gatehouse serve, or say where it is with --address or --state"}
	}
	if err != nil {
		return Reach{}, unreadable(path, err)
	}
	var r Reach
	if err := json.Unmarshal(b, &r); err != nil {
		return Reach{}, fault.Wrap(fault.Malformed, "client.ReadReach", err, "%s is damaged: restart the gateway, which writes it anew", path)
	}
	return r, nil
}

// Where is what a user said about where the gateway is; what they did not say comes from the environment, then from the
// state directory.
type Where struct {
	State     string // the state directory
	Address   string
	CAFile    string
	TokenFile string
	Env       func(string) string
}

// Settings are where a gateway is and how to speak to it.
type Settings struct {
	Address     string // https URL
	AddressFrom string // who said so, for messages
	CA          []byte // PEM roots; the system's where empty
	Token       access.Secret
	TokenFrom   string
}

// Find completes a Where.
func (w Where) Find() (Settings, error) {
	var s Settings
	if err := w.findAddress(&s); err != nil {
		return s, err
	}
	if err := w.findCA(&s); err != nil {
		return s, err
	}
	return s, w.findToken(&s)
}

func (w Where) findAddress(s *Settings) error {
	switch env := w.Env("GATEHOUSE_ADDRESS"); {
	case w.Address != "":
		s.Address, s.AddressFrom = w.Address, "--address"
	case env != "":
		s.Address, s.AddressFrom = env, "$GATEHOUSE_ADDRESS"
	default:
		r, err := ReadReach(w.State)
		if err != nil {
			return err
		}
		s.Address, s.AddressFrom = r.API, filepath.Join(w.State, ReachFile)
	}
	if !strings.Contains(s.Address, "://") {
		s.Address = "https://" + s.Address
	}
	u, err := url.Parse(s.Address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return fault.New(fault.Malformed, "client.Find", "the address %q (from %s) must look like https://host:port", s.Address, s.AddressFrom)
	}
	s.Address = "https://" + u.Host
	return nil
}

// findCA prefers what was named; a gateway that was found through its state directory is trusted through it too.
func (w Where) findCA(s *Settings) error {
	path, named := w.CAFile, true
	if path == "" {
		path = w.Env("GATEHOUSE_CA")
	}
	if path == "" {
		path, named = filepath.Join(w.State, CAFile), false
	}
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return unreadable(path, err)
	}
	s.CA = b
	return nil
}

func (w Where) findToken(s *Settings) error {
	path := w.TokenFile
	if path == "" {
		if t := strings.TrimSpace(w.Env("GATEHOUSE_TOKEN")); t != "" {
			s.Token, s.TokenFrom = access.NewSecret([]byte(t)), "$GATEHOUSE_TOKEN"
			return nil
		}
		path = filepath.Join(w.State, AdminTokenFile)
	}
	t, err := ReadToken(path)
	if err != nil {
		return err
	}
	s.Token, s.TokenFrom = t, path
	return nil
}

// ReadToken reads a token from a file.
func ReadToken(path string) (access.Secret, error) {
	b, err := readBounded(path)
	if err != nil {
		return access.Secret{}, &fault.Error{Op: "client.ReadToken", Kind: fault.NotFound, Err: err,
			Say:  "there is no token: " + path + " cannot be read (" + reason(err) + ")",
			Hint: "give one with --token-file or $GATEHOUSE_TOKEN, or run as the user that the gateway runs as"}
	}
	return access.NewSecret([]byte(strings.TrimSpace(string(b)))), nil
}

func unreadable(path string, err error) error {
	return fault.Wrap(fault.NotFound, "client.Find", err, "%s cannot be read: %s", path, reason(err))
}

// reason is the system's own word for what went wrong, without the path again.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("it is larger than 1 MiB")
	}
	return b, err
}
