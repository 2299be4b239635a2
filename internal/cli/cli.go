package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/cli/client"
	"gatehouse/internal/fault"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // refused, failed, or not as expected
	ExitUsage  = 2 // the command line makes no sense
)

// Deps is what the commands need from main.
type Deps struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // Out is a terminal: colours, unless NO_COLOR or TERM=dumb say no
	Env      func(string) string
	Clock    func() time.Time
	StateDir string // where state lives unless --state or $GATEHOUSE_STATE says otherwise
	Version  message.Version

	Documents Documents
	Gateway   Gateway
}

// Documents are the written forms of documents.
type Documents struct {
	// Parse reads the documents of one file, strictly; its error shows the line and a caret.
	Parse func(file string, b []byte) ([]Source, error)
	// Render writes one document as YAML.
	Render func(access.Document) ([]byte, error)
	// Schema is the JSON Schema of all documents.
	Schema []byte
	// Guardrails are the policies that ship.
	Guardrails []Guardrail
	// Formats are the policy languages of others.
	Formats []Format
}

// Format is a policy language of others.
type Format struct {
	Name string
	// Import reads a document as a policy of that name, about one connection, or about all that it can be about where connection
	// is "". Notes say where the policy is not what the document was.
	Import func(document []byte, name, connection string) (*access.Policy, []string, error)
}

// Source is a document and where it was written.
type Source struct {
	Document access.Document
	File     string
	Show     func(path, say string) string // file:line, the line, a caret, and what is wrong
}

// Gateway are the functions that run the gateway or work on its files without it. They return when the work is done or
// ctx ends.
type Gateway struct {
	Protocols []string // the names of those that it can listen for

	Serve   func(ctx context.Context, o ServeOptions) error
	Dev     func(ctx context.Context, o ServeOptions) error
	Mint    func(ctx context.Context, o MintOptions) (access.Secret, error)
	Verify  func(ctx context.Context, o VerifyOptions) (VerifyReport, error)
	Restore func(ctx context.Context, o RestoreOptions) error
	// Messages reads digests of messages, and tells how many they are and the root that the outcome of a window has of them.
	Messages func(digests io.Reader) (count uint64, root string, err error)
}

// ServeOptions are the flags of serve and dev.
type ServeOptions struct {
	State   string
	Config  string            // empty: the embedded defaults
	API     string            // empty: as configured
	Listen  []client.Listener // empty: as configured
	OnReady func(client.Reach) error
}

// MintOptions describe a token of the local issuer.
type MintOptions struct {
	State   string
	Subject string
	Kind    access.PrincipalKind
	Claims  map[string]any
	TTL     time.Duration
}

// VerifyOptions say which log to check against what.
type VerifyOptions struct {
	Dir   string
	Key   string // the file with the public key
	Since string // a file with a checkpoint that was kept elsewhere; may be empty
}

// VerifyReport is what a verifier found.
type VerifyReport struct {
	OK   bool
	Text string // for people
	Data any    // for programs, as JSON
}

// RestoreOptions say what to restore where.
type RestoreOptions struct {
	State string
	File  string
}

// app is one run of the command.
type app struct {
	Deps
	state     string
	address   string
	caFile    string
	tokenFile string
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// errFailed ends a command with ExitFailed after it has itself said why.
type errFailed struct{ error }

// Run runs one command line, without the program's name, and returns the exit code.
func Run(ctx context.Context, d Deps, args []string) int {
	root := New(d)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	var usage *usageError
	var failed errFailed
	switch {
	case errors.As(err, &failed):
		return ExitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(d.Err, "gatehouse: %s\nRun %q for how to use it.\n", visibleLines(err.Error()), cmd.CommandPath()+" --help")
		return ExitUsage
	}
	fmt.Fprint(d.Err, "gatehouse: ", describe(err), "\n")
	return ExitFailed
}

// describe is an error as the user of the command line reads it. They are on their own machine: an error of no kind is
// shown whole.
func describe(err error) string {
	var e *fault.Error
	if !errors.As(err, &e) || (e.Say == "" && e.Kind == fault.Internal) {
		return visibleLines(err.Error())
	}
	text, hint := fault.Say(err)
	if hint != "" {
		text += "\n  " + hint
	}
	return visibleLines(text)
}

// New builds the command tree.
func New(d Deps) *cobra.Command {
	a := &app{Deps: d}
	root := group("gatehouse", "Stands between a function's identity and the resource it calls",
		`Gatehouse validates the token that a function already has, decides on every statement it sends, holds the risky
ones for a person, masks what comes back and records everything.

Commands find the gateway through its state directory; --address, --ca and --token-file (or $GATEHOUSE_ADDRESS,
$GATEHOUSE_CA and $GATEHOUSE_TOKEN) reach one elsewhere. A reviewer's token is the one of their identity provider.

Exit codes: 0 done, 1 failed or refused, 2 the command line makes no sense.`)
	root.Example = "  gatehouse dev\n  gatehouse apply -f documents/\n  gatehouse approvals list\n  gatehouse sessions replay s-5f2c"
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(d.In)
	root.SetOut(d.Out)
	root.SetErr(d.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().StringVar(&a.state, "state", "", "state `directory` (default $GATEHOUSE_STATE, or "+d.StateDir+")")
	if f := root.PersistentFlags().Lookup("state"); f != nil {
		f.DefValue = ""
	}
	root.PersistentPreRun = func(*cobra.Command, []string) { a.state = a.stateDir() }
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run the gateway:"}, &cobra.Group{ID: "documents", Title: "Say what may happen:"},
		&cobra.Group{ID: "review", Title: "Answer and look back:"}, &cobra.Group{ID: "operate", Title: "Operate:"})
	a.add(root, "run", a.serve(), a.dev(), a.version())
	a.add(root, "documents", a.apply(), a.get(), a.delete(), a.policy(), a.guardrails(), a.connections(), a.secrets(), a.schema())
	a.add(root, "review", a.approvals(), a.sessions(), a.audit(), a.whoami())
	a.add(root, "operate", a.lock(), a.unlock(), a.keys(), a.backup(), a.restore(), a.ca())
	root.InitDefaultCompletionCmd()
	return root
}

func (*app) add(root *cobra.Command, groupID string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = groupID
		root.AddCommand(c)
	}
}

func (a *app) stateDir() string {
	switch env := a.Env("GATEHOUSE_STATE"); {
	case a.state != "":
		return a.state
	case env != "":
		return env
	}
	return a.StateDir
}

// remote gives a command the flags that say where the gateway is.
func (a *app) remote(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.address, "address", "", "the gateway's API, as https://`host:port` (default $GATEHOUSE_ADDRESS, or from the state directory)")
	c.Flags().StringVar(&a.caFile, "ca", "", "PEM `file` with the root that signs the API's certificate (default $GATEHOUSE_CA, or from the state directory)")
	c.Flags().StringVar(&a.tokenFile, "token-file", "", "`file` with the token to use (default $GATEHOUSE_TOKEN, or the administrator's from the state directory)")
	return c
}

func (a *app) connect() (*client.Client, error) {
	s, err := client.Where{State: a.stateDir(), Address: a.address, CAFile: a.caFile, TokenFile: a.tokenFile, Env: a.Env}.Find()
	if err != nil {
		return nil, err
	}
	return client.New(s)
}

// group is a command that only holds others. A subcommand that it does not have is a usage error.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, SuggestionsMinimumDistance: 2}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		say := fmt.Sprintf("%s has no command %q", c.CommandPath(), args[0])
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			say += ": did you mean " + strings.Join(s, " or ") + "?"
		}
		return usagef("%s", say)
	}
	c.AddCommand(commands...)
	return c
}

// args checks the number of arguments and names them where they are missing.
func args(least, most int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		switch {
		case len(given) < least:
			return usagef("%s needs %s", c.CommandPath(), names)
		case len(given) > most && most == 0:
			return usagef("%s takes no argument such as %q", c.CommandPath(), given[0])
		case len(given) > most:
			return usagef("%s takes only %s: what is %q?", c.CommandPath(), names, given[most])
		}
		return nil
	}
}
