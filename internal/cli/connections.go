package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
)

// maxSecret is what the vault takes, in bytes.
const maxSecret = 64 << 10

func (a *app) connections() *cobra.Command {
	var output string
	test := a.remote(&cobra.Command{Use: "test NAME", Short: "Log in to a connection's backend and say how it went", Args: args(1, 1, "a connection's NAME"),
		Example: "  gatehouse connections test orders-db",
		RunE: func(c *cobra.Command, given []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			p, err := cl.Test(c.Context(), given[0])
			if err != nil {
				return err
			}
			if output == asJSON {
				err = a.writeJSON(p)
			} else {
				word := a.paint(green, "ok")
				if !p.OK {
					word = a.paint(red, "failed")
				}
				a.printf("%s %s\n", visible(p.Connection), word)
				a.pairs("server", p.Server, "tls", p.TLS, "login", strconv.FormatInt(p.Millis, 10)+" ms", "problem", p.Problem)
				for _, n := range p.Notes {
					a.printf("note: %s\n", visible(n))
				}
			}
			if err == nil && !p.OK {
				err = errFailed{errors.New("the test failed")}
			}
			return err
		}})
	form(test, &output, asTable, asJSON)
	test.ValidArgsFunction = a.completeConnections
	return group("connections", "Look after connections", "Connections are documents: gatehouse apply writes them, gatehouse get connections lists them.", test)
}

func (a *app) secrets() *cobra.Command {
	var file string
	set := a.remote(&cobra.Command{Use: "set NAME", Short: "Seal a value under a name", Args: args(1, 1, "a secret's NAME"),
		Long: `Seal a value in the vault, from standard input or a file. One line break at the end of standard input is not part of
the value. No command and no API ever gives it back; a connection uses it through credential.secret.`,
		Example: "  gatehouse secrets set orders-password < password.txt\n  gatehouse secrets set orders-key --from-file key.pem",
		RunE: func(c *cobra.Command, given []string) error {
			value, err := a.readSecret(file)
			if err != nil {
				return err
			}
			defer value.Wipe()
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if err := cl.PutSecret(c.Context(), given[0], value); err != nil {
				return err
			}
			a.printf("sealed %s\n", visible(given[0]))
			return nil
		}})
	set.Flags().StringVar(&file, "from-file", "", "read the value from a `file`, byte for byte")

	var output string
	list := a.remote(&cobra.Command{Use: "list", Short: "Name the secrets", Args: args(0, 0, ""),
		Example: "  gatehouse secrets list",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			names, err := cl.Secrets(c.Context())
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(names)
			}
			for _, n := range names {
				a.printf("%s\n", visible(n))
			}
			return nil
		}})
	form(list, &output, asTable, asJSON)

	forget := a.remote(&cobra.Command{Use: "delete NAME", Short: "Forget a secret that no connection uses", Args: args(1, 1, "a secret's NAME"),
		Example: "  gatehouse secrets delete old-password",
		RunE: func(c *cobra.Command, given []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			if err := cl.DeleteSecret(c.Context(), given[0]); err != nil {
				return err
			}
			a.printf("deleted %s\n", visible(given[0]))
			return nil
		}})
	set.ValidArgsFunction, forget.ValidArgsFunction = a.completeSecrets, a.completeSecrets
	return group("secrets", "Backend credentials in the vault", "", set, list, forget)
}

// completeSecrets completes the name of a secret that there is.
func (a *app) completeSecrets(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	cl, err := a.connect()
	if len(given) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	names, err := cl.Secrets(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for i, n := range names {
		names[i] = visible(n)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) readSecret(file string) (access.Secret, error) {
	if file == "" {
		b, err := readBounded(a.In, maxSecret, "the value on standard input")
		b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
		return nonEmpty(b, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return access.Secret{}, err
	}
	defer func() { _ = f.Close() }()
	return nonEmpty(readBounded(f, maxSecret, file))
}

func nonEmpty(b []byte, err error) (access.Secret, error) {
	if err == nil && len(b) == 0 {
		err = errors.New("the value is empty: give it on standard input, or with --from-file")
	}
	return access.NewSecret(b), err
}
