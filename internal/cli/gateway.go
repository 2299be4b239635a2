package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/cli/client"
)

// serveFlags are what serve and dev share.
type serveFlags struct {
	config  string
	api     string
	listen  []string
	readyFD int
}

func (f *serveFlags) register(c *cobra.Command, protocols []string) {
	c.Flags().StringVar(&f.config, "config", "", "configuration `file` (default: none is needed)")
	c.Flags().StringVar(&f.api, "api", "", "`address` of the control API; port 0 takes a free one")
	c.Flags().StringArrayVar(&f.listen, "listen", nil, "listen as `PROTOCOL=HOST:PORT`; may be repeated, and replaces the configured ones")
	c.Flags().IntVar(&f.readyFD, "ready-fd", 0, "write the addresses as one line of JSON to this file descriptor once the gateway listens")
	words := make([]string, len(protocols))
	for i, p := range protocols {
		words[i] = p + "=127.0.0.1:"
	}
	_ = c.RegisterFlagCompletionFunc("listen", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	_ = c.RegisterFlagCompletionFunc("api", cobra.FixedCompletions([]string{"127.0.0.1:"}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
}

func (f *serveFlags) options(state string) (ServeOptions, error) {
	o := ServeOptions{State: state, Config: f.config, API: f.api, OnReady: func(client.Reach) error { return nil }}
	for _, l := range f.listen {
		protocol, address, ok := strings.Cut(l, "=")
		if !ok || protocol == "" || address == "" {
			return o, usagef("--listen %s must look like PROTOCOL=HOST:PORT", l)
		}
		o.Listen = append(o.Listen, client.Listener{Protocol: protocol, Address: address})
	}
	switch {
	case f.readyFD < 0 || f.readyFD == 1 || f.readyFD == 2:
		return o, usagef("--ready-fd %d must be a descriptor above 2 that the caller has opened", f.readyFD)
	case f.readyFD > 2:
		o.OnReady = func(r client.Reach) error { return tellReady(f.readyFD, r) }
	}
	return o, nil
}

func tellReady(fd int, r client.Reach) error {
	file := os.NewFile(uintptr(fd), "ready-fd")
	if file == nil {
		return fmt.Errorf("--ready-fd %d is not open", fd)
	}
	return errors.Join(json.NewEncoder(file).Encode(r), file.Close())
}

func (a *app) serve() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{Use: "serve", Short: "Run the gateway", Args: args(0, 0, ""),
		Long: `Run the gateway until SIGTERM, which drains it: no new logins, and running transactions may finish.
SIGHUP reads certificates and secrets from their files again. Logs are JSON on stderr.

No configuration is needed: without one, state, keys, certificates and the audit log are made in the state directory.`,
		Example: "  gatehouse serve\n  gatehouse serve --api 127.0.0.1:0 --listen http=127.0.0.1:8080\n  gatehouse serve --config /etc/gatehouse.yaml --state /var/lib/gatehouse",
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options(a.state)
			if err != nil {
				return err
			}
			return a.Gateway.Serve(c.Context(), o)
		}}
	f.register(c, a.Gateway.Protocols)
	return c
}

func (a *app) dev() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{Use: "dev", Short: "Run a gateway with its own local token issuer, to try things out", Args: args(0, 0, ""),
		Long: `Run the gateway as serve does, together with an issuer of tokens on this machine: one for workloads (Issuer "dev")
and one for people (Issuer "dev-people"). It prints how to reach everything. Never use it where it matters: whoever can
read the state directory can mint any token.`,
		Example: "  gatehouse dev --api 127.0.0.1:0\n  gatehouse dev token --subject refund-fn --claim team=refunds",
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options(a.state)
			if err != nil {
				return err
			}
			told := o.OnReady
			o.OnReady = func(r client.Reach) error {
				a.printReach(r)
				return told(r)
			}
			return a.Gateway.Dev(c.Context(), o)
		}}
	f.register(c, a.Gateway.Protocols)
	c.AddCommand(a.devToken())
	return c
}

func (a *app) printReach(r client.Reach) {
	a.printf("%s\n", a.paint(bold, "Gatehouse is up."))
	for _, l := range r.Listeners {
		a.printf("  %-10s %s\n", l.Protocol, l.Address)
	}
	a.printf("  %-10s %s\n", "API", r.API)
	if r.Issuer != "" {
		a.printf("  %-10s %s\n", "issuer", r.Issuer)
	}
	a.printf("  %-10s %s\n", "root", filepath.Join(a.state, client.CAFile))
	a.printf("  %-10s %s\n", "admin", filepath.Join(a.state, client.AdminTokenFile))
	state := ""
	if a.state != a.StateDir {
		state = " --state " + a.state
	}
	a.printf("Mint a token:  gatehouse dev token%s --subject refund-fn\n", state)
}

func (a *app) devToken() *cobra.Command {
	o := MintOptions{}
	var person bool
	var claims []string
	c := &cobra.Command{Use: "token", Short: "Mint a token of the local issuer", Args: args(0, 0, ""),
		Long:    "Mint a token of the issuer that gatehouse dev runs. Only the token is printed.",
		Example: "  gatehouse dev token --subject refund-fn --claim team=refunds\n  gatehouse dev token --subject dora --person --claim 'groups=[\"dba\"]' --ttl 30m",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Subject == "" {
				return usagef("--subject is needed: who the token is for")
			}
			var err error
			if o.Claims, err = parseClaims(claims); err != nil {
				return err
			}
			o.State, o.Kind = a.state, access.Workload
			if person {
				o.Kind = access.Person
			}
			t, err := a.Gateway.Mint(c.Context(), o)
			if err != nil {
				return err
			}
			a.printf("%s\n", t.Reveal())
			return nil
		}}
	c.Flags().StringVar(&o.Subject, "subject", "", "the token's `subject`")
	c.Flags().BoolVar(&person, "person", false, "a token for a person, who can review")
	c.Flags().StringArrayVar(&claims, "claim", nil, "a claim as `name=value`; the value may be JSON; may be repeated")
	c.Flags().DurationVar(&o.TTL, "ttl", 10*time.Minute, "how long it is valid")
	return c
}

// parseClaims reads name=value pairs. A value that is JSON is taken as such, any other as a string.
func parseClaims(pairs []string) (map[string]any, error) {
	claims := map[string]any{}
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usagef("--claim %s must look like name=value", p)
		}
		if _, twice := claims[name]; twice {
			return nil, usagef("--claim %s is given twice", name)
		}
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil || v == nil {
			v = value
		}
		claims[name] = v
	}
	return claims, nil
}

func (a *app) version() *cobra.Command {
	var output string
	c := &cobra.Command{Use: "version", Short: "Say which version this is", Args: args(0, 0, ""),
		Example: "  gatehouse version\n  gatehouse version -o json",
		RunE: func(*cobra.Command, []string) error {
			if output == asJSON {
				return a.writeJSON(a.Version)
			}
			a.pairs("version", a.Version.Version, "revision", a.Version.Revision, "go", a.Version.Go, "platform", a.Version.Platform)
			return nil
		}}
	form(c, &output, asTable, asJSON)
	return c
}

func (a *app) restore() *cobra.Command {
	return &cobra.Command{Use: "restore FILE", Short: "Put a backup in place of the state; the gateway must be stopped", Args: args(1, 1, "the backup's FILE"),
		Long: `Put a backup in place of the state. The gateway must be stopped. The audit log is not part of a backup and is kept:
a restore begins a new epoch of it, which names the last checkpoint before.`,
		Example: "  gatehouse restore gatehouse-monday.backup",
		RunE: func(c *cobra.Command, given []string) error {
			if err := a.Gateway.Restore(c.Context(), RestoreOptions{State: a.state, File: given[0]}); err != nil {
				return err
			}
			a.printf("restored %s into %s: start the gateway with gatehouse serve\n", visible(given[0]), visible(a.state))
			return nil
		}}
}

func (a *app) ca() *cobra.Command {
	show := &cobra.Command{Use: "print", Short: "Print the root that clients should verify the gateway by", Args: args(0, 0, ""),
		Long:    "Print the PEM root that signs the gateway's own certificates. It is read from the state directory, never over the network: a root that comes unverified proves nothing.",
		Example: "  gatehouse ca print > gatehouse-ca.pem",
		RunE: func(*cobra.Command, []string) error {
			b, err := os.ReadFile(filepath.Join(a.state, client.CAFile))
			if err != nil {
				return fmt.Errorf("%w: start the gateway once, or say where its state is with --state", err)
			}
			_, err = a.Out.Write(b)
			return err
		}}
	return group("ca", "The gateway's own certificate authority", "", show)
}

func (a *app) schema() *cobra.Command {
	show := &cobra.Command{Use: "print", Short: "Print the JSON Schema of all documents", Args: args(0, 0, ""),
		Long:    "Print the JSON Schema that holds every key of every document, for editors and other tools.",
		Example: "  gatehouse schema print > gatehouse.schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Out.Write(a.Documents.Schema)
			return err
		}}
	return group("schema", "The documents' JSON Schema", "", show)
}
