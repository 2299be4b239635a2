package cloud

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/e2e/child"
)

// What the account is called, and its one lasting key: no byte of the secret may ever reach a client, a log or a record.
const (
	Account   = "000000000000"
	Region    = "us-east-1"
	AccessKey = "AKIABACKENDCANARY"
	SecretKey = "backend/secret+canary/5f1d20c7"
)

// World is a running account.
type World struct {
	URL    string // of every service
	CA     string // PEM: who the account's certificate is of
	CAFile string
	Folder string // everything that it has

	front    *front
	children []*child.Process
}

// source is this package's folder.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// stock is where the clients and servers that others wrote are, or a program of theirs.
func stock(name ...string) string {
	return filepath.Join(slices.Concat([]string{source(), "stock"}, name)...)
}

func program(name string) string { return filepath.Join(source(), "..", "..", "bin", "cloud", name) }

// Install builds and fetches what Start and the clients need, where it is not there.
func Install(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, filepath.Join(source(), "..", "..", "scripts", "cloud.sh")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("scripts/cloud.sh: %w\n%s", err, out)
	}
	return nil
}

// Start starts the account. ctx bounds the start only; the caller stops it.
func Start(ctx context.Context) (w *World, err error) {
	if err := Install(ctx); err != nil {
		return nil, err
	}
	w = &World{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Stop())
		}
	}()
	if w.Folder, err = os.MkdirTemp("", "gatehouse-cloud-"); err != nil {
		return w, err
	}
	w.front = newFront(w.Folder)
	w.URL = "https://" + w.front.host
	w.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.front.server.Certificate().Raw}))
	w.CAFile = filepath.Join(w.Folder, "ca.pem")
	if err := os.WriteFile(w.CAFile, []byte(w.CA), 0o600); err != nil {
		return w, err
	}
	for _, dir := range []string{"objects", "sidecar"} {
		if err := os.Mkdir(filepath.Join(w.Folder, dir), 0o700); err != nil {
			return w, err
		}
	}
	host, port, err := net.SplitHostPort(w.front.host)
	if err != nil {
		return w, err
	}
	config := fmt.Sprintf("Local:\n  Host: %s\n  Port: %s\n  Region: %s\n  AccountId: %q\n", host, port, Region, Account)
	if err := os.WriteFile(filepath.Join(w.Folder, "goaws.yaml"), []byte(config), 0o600); err != nil {
		return w, err
	}
	for _, args := range [][]string{
		{program("versitygw"), "--quiet", "--keep-alive", "--port", w.socket("s3"), "--access", AccessKey, "--secret", SecretKey, "--region", Region,
			"posix", "--sidecar", filepath.Join(w.Folder, "sidecar"), filepath.Join(w.Folder, "objects")},
		{program("goaws"), filepath.Join(w.Folder, "goaws.yaml"), w.socket("query")},
		{"node", stock("servers.mjs"), w.Folder},
	} {
		if err := w.serve(args); err != nil {
			return w, err
		}
	}
	return w, w.await(ctx, "s3", "query", "dynamodb", "sqs")
}

func (w *World) socket(name string) string { return filepath.Join(w.Folder, name) }

// serve starts a server, with its output in a file.
func (w *World) serve(args []string) error {
	out, err := os.Create(filepath.Join(w.Folder, filepath.Base(args[0])+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the server holds its own descriptor
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, w.Folder
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err == nil {
		w.children = append(w.children, p)
	}
	return err
}

// await waits until every socket takes connections.
func (w *World) await(ctx context.Context, names ...string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, name := range names {
		for {
			var d net.Dialer
			c, err := d.DialContext(ctx, "unix", w.socket(name))
			if err == nil {
				_ = c.Close()
				break
			}
			if dead := slices.IndexFunc(w.children, ended); dead >= 0 {
				return fmt.Errorf("a server has exited: %w\n%s", w.children[dead].Err(), w.logs())
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not listen: %w\n%s", name, ctx.Err(), w.logs())
			case <-tick.C:
			}
		}
	}
	return nil
}

func ended(p *child.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// logs is what the servers said.
func (w *World) logs() string {
	var all []byte
	files, _ := filepath.Glob(filepath.Join(w.Folder, "*.log")) // the pattern is one
	for _, f := range files {
		text, _ := os.ReadFile(f) // no log, no words
		all = append(all, text[max(0, len(text)-2000):]...)
	}
	return string(all)
}

// Arrived is what has reached the account since the last Forget.
func (w *World) Arrived() []*Arrival {
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	return slices.Clone(w.front.arrivals)
}

// Forget forgets what has arrived.
func (w *World) Forget() {
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	w.front.arrivals, w.front.sessions = nil, nil
}

// Foreign says what arrived that was not signed anew with the account's own key, or that carries one of the client's secrets: its
// token above all.
func (w *World) Foreign(secrets ...string) []string {
	var found []string
	for _, a := range w.Arrived() {
		where := a.Method + " " + a.URI + " " + a.Target
		if a.Fault != "" || a.Who != "backend" {
			found = append(found, fmt.Sprintf("%s was signed by %q: %s", where, a.Who, a.Fault))
		}
		all := []byte(a.URI)
		for name, values := range a.Header {
			all = append(all, name+"\n"+strings.Join(values, "\n")...)
		}
		all = append(all, a.Body...)
		for _, s := range secrets {
			if bytes.Contains(all, []byte(s)) {
				found = append(found, where+" carries a secret of the client")
			}
		}
	}
	return found
}

// Sessions is which roles were assumed since the last Forget.
func (w *World) Sessions() []Session {
	w.front.mu.Lock()
	defer w.front.mu.Unlock()
	return slices.Clone(w.front.sessions)
}

// Environment is what a client that may do everything has to be told to call the account itself.
func (w *World) Environment() []string {
	return environment(w.URL, w.CAFile, AccessKey, SecretKey, "")
}

// environment is how a function finds a service, in the words that every SDK reads. Nothing of the caller's own AWS settings stays.
func environment(endpoint, ca, access, secret, token string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return len(v) > 4 && v[:4] == "AWS_" })
	env = append(env, "AWS_ENDPOINT_URL="+endpoint, "AWS_CA_BUNDLE="+ca, "NODE_EXTRA_CA_CERTS="+ca, "AWS_REGION="+Region, "AWS_DEFAULT_REGION="+Region,
		"AWS_ACCESS_KEY_ID="+access, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	if token != "" {
		env = append(env, "AWS_SESSION_TOKEN="+token)
	}
	return env
}

// Stop ends the servers and removes everything.
func (w *World) Stop() error {
	for _, p := range w.children {
		p.End(syscall.SIGTERM, syscall.SIGKILL)
	}
	if w.front != nil {
		w.front.server.Close()
	}
	if w.Folder == "" {
		return nil
	}
	return os.RemoveAll(w.Folder)
}
