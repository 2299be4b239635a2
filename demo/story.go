package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"gatehouse/e2e/gateway"
	"gatehouse/e2e/pgtest"
)

// step is one part of the story.
type step struct {
	title string
	about string
	tell  func(ctx context.Context, w *world) error
}

func story() []step {
	return []step{
		{"A database with secrets in it", "A private PostgreSQL runs for this demo. This is what it really holds, asked directly:", showTruth},
		{"A gateway", "With its embedded defaults, a state directory of its own, and a local issuer that stands for your platform's.", startGateway},
		{"The gateway gets the credential, and its rules", "Only the vault knows the database's password from now on.", configure},
		{"A function has a token, and nothing else", "A platform gives its functions short-lived tokens. Here the local issuer does.", mintToken},
		{"Who has no token learns nothing", "", refuseStranger},
		{"The function reads", "Stock psql, verified TLS, the token as the password. The rows are the same; the values are hidden.", readMasked},
		{"The function may not drop a table", "The refusal is PostgreSQL's own kind of error, and the session lives on.", refuseDrop},
		{"A risky statement waits for a person", "The function deletes duplicate payments; psql waits. Another person looks, and agrees.", holdDelete},
		{"An HTTP API, the same way", "A small billing API of the demo's own wants a key. Its connection is in the documents; the vault gets the key:", showAPI},
		{"The function calls it", "Stock curl, verified TLS, the same token. The gateway puts the key in.", callAPI},
		{"A refund waits for a person", "HTTP has no way to wait for hours, so the function comes back with the approval's name.", holdRefund},
		{"A queue, the same way", "A private RabbitMQ runs for this demo too. Its connection is in the documents; the vault gets the password:", showQueue},
		{"The function's messages are judged one by one", "Stock amqp-tools, TLS, the token as the password, the connection as the virtual host.", useQueue},
		{"What happened can be replayed", "As the function saw it: masked.", replay},
		{"The log proves that nobody changed it", "Offline, with a copy of the log and the public key alone.", verify},
		{"One flipped byte is found", "", tamper},
	}
}

func showTruth(ctx context.Context, w *world) error {
	const sql = "SELECT id, name, email, ssn, card FROM customers ORDER BY id LIMIT 3"
	if err := w.source(); err != nil {
		return err
	}
	out, err := w.must(ctx, fmt.Sprintf("psql -X \"$DIRECT\" -c '%s'", sql))
	if err != nil {
		return err
	}
	return w.check(strings.Contains(out, "ada.brook@mail.example.test"), "the database itself shows everything", out)
}

func startGateway(ctx context.Context, w *world) error {
	o := gateway.Options{Binary: w.binary, State: w.path("state")}
	w.command(strings.Join(o.Command(), " ") + " &")
	var err error
	if w.gateway, err = gateway.Start(ctx, o); err != nil {
		return err
	}
	w.listener = w.gateway.Listener["postgres"]
	if text, err := os.ReadFile(w.gateway.OutFile); err == nil {
		w.output(string(text))
	}
	if err := w.source(); err != nil {
		return err
	}
	if _, err := w.must(ctx, "gatehouse ca print > $DEMO/ca.pem"); err != nil {
		return err
	}
	pem, err := os.ReadFile(w.path("ca.pem"))
	if err != nil {
		return err
	}
	return w.check(strings.Contains(string(pem), "BEGIN CERTIFICATE"), "the gateway is up, and clients can verify it", string(pem))
}

func configure(ctx context.Context, w *world) error {
	if err := w.write("orders-db.password", pgtest.AppPassword); err != nil {
		return err
	}
	if _, err := w.must(ctx, "gatehouse secrets set orders-db < $DEMO/orders-db.password"); err != nil {
		return err
	}
	text := strings.NewReplacer("${ADDRESS}", w.server.Address(), "${CA_FILE}", w.server.CAFile, "${BILLING}", w.billing.url, "${JOBS}", w.rabbit.TLSAddress(), "${JOBS_CA}", w.rabbit.CAFile).Replace(documents)
	if err := w.write("documents.yaml", text); err != nil {
		return err
	}
	out, err := w.must(ctx, "gatehouse apply -f $DEMO/documents.yaml")
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, "refund-function") && strings.Contains(out, "orders-db"), "the documents are in force, and the difference was shown", out); err != nil {
		return err
	}
	out, err = w.must(ctx, "gatehouse apply -f $DEMO/documents.yaml")
	if err != nil {
		return err
	}
	if err := w.check(strings.Contains(out, "nothing to change"), "applying them again changes nothing", out); err != nil {
		return err
	}
	_, err = w.must(ctx, "gatehouse connections test orders-db")
	return err
}

func mintToken(ctx context.Context, w *world) error {
	if _, err := w.must(ctx, "gatehouse dev token --subject fn:refund --ttl 1h > $DEMO/fn.token"); err != nil {
		return err
	}
	out, err := w.must(ctx, "gatehouse whoami --token-file $DEMO/fn.token")
	if err != nil {
		return err
	}
	return w.check(strings.Contains(out, "refund-function") && strings.Contains(out, "orders-db"), "the gateway knows its role and its connection", out)
}

func refuseStranger(ctx context.Context, w *world) error {
	r := w.run(ctx, `PGPASSWORD=guess psql -X -c 'SELECT 1'`)
	if err := w.check(r.status != 0 && strings.Contains(r.text, "authentication failed (ref "), "no token, no byte; the reference is for the administrator", r.text); err != nil {
		return err
	}
	seen, err := w.server.Statements()
	if err != nil {
		return err
	}
	for _, s := range seen {
		if s.Text == "SELECT 1" {
			return w.check(false, "the database saw nothing", s.Text)
		}
	}
	return w.check(true, "the database saw nothing", "")
}

func readMasked(ctx context.Context, w *world) error {
	out, err := w.must(ctx, `PGPASSWORD=$(cat $DEMO/fn.token) psql -X -c 'SELECT id, name, email, ssn, card FROM customers ORDER BY id LIMIT 3'`)
	if err != nil {
		return err
	}
	hidden := !strings.Contains(out, "example.test") && !strings.Contains(out, "078-05") && !strings.Contains(out, "40000077")
	if err := w.check(strings.Contains(out, "Ada Brook") && hidden, "names are shown; e-mail, SSN and card numbers are hidden", out); err != nil {
		return err
	}
	out, err = w.must(ctx, `PGPASSWORD=$(cat $DEMO/fn.token) psql -X -c "SELECT upper(email) || ' ' || ssn AS tricky FROM customers WHERE id = 1"`)
	if err != nil {
		return err
	}
	return w.check(!strings.Contains(strings.ToLower(out), "ada.brook@") && !strings.Contains(out, "078-05"), "an expression over hidden columns is hidden too", out)
}

func refuseDrop(ctx context.Context, w *world) error {
	r := w.run(ctx, `PGPASSWORD=$(cat $DEMO/fn.token) psql -X -v VERBOSITY=verbose -c 'DROP TABLE customers' -c 'SELECT count(*) FROM customers'`)
	if err := w.check(strings.Contains(r.text, "42501") && strings.Contains(r.text, "migrations"), "DROP TABLE is refused, with the policy's own words", r.text); err != nil {
		return err
	}
	if err := w.check(strings.Contains(r.text, "20") && r.status == 0, "the same session goes on", r.text); err != nil {
		return err
	}
	log, err := w.server.Log()
	if err != nil {
		return err
	}
	return w.check(!strings.Contains(log, "DROP TABLE"), "the database never saw it", "DROP TABLE in its log")
}
