package bypass

import (
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// queueAttack is a case about queues: what a client does, and what must not come of it. The world is the same before each: the queues
// payroll, mail and us-orders are neither to be read nor written by the client, nor is anything but what it makes itself to be lost.
type queueAttack struct {
	Technique string
	Channel   string
	Role      string // whose token it has; clerk where it is empty
	Guardrail string // the one that ships and binds the connection, for the role that may do everything
	Acts      []act
	Made      string // a queue that must not be there afterwards
	Masked    bool   // the role may do everything, but not read the masked field
	Unproven  string // why it does not work around the gateway either
}

func (q queueAttack) name() string { return q.Technique + ", " + q.Channel }

// run plays a case, and returns what came of it that must not, and what the client was told.
func (q queueAttack) run(t *testing.T, w *queueWorld, role, connection string) (harm []string, heard string, alive bool) {
	t.Helper()
	w.fresh(t)
	c := w.enter(t, role, connection)
	for _, do := range q.Acts {
		do(c)
	}
	alive = c.alive()
	c.leave()
	got := c.raw.text()
	if strings.Contains(got, iban) {
		harm = append(harm, "the client has read a masked field")
	}
	if q.Masked { // it may read, write and lose the rest
		return harm, strings.Join(c.notes, "\n"), alive
	}
	if strings.Contains(got, canary) {
		harm = append(harm, "the client has read what it may not")
	}
	harm = append(append(append(harm, c.saw...), w.written(t)...), w.lost(t)...)
	if q.Made != "" && w.exists(t, q.Made) {
		harm = append(harm, q.Made+" was made")
	}
	return harm, strings.Join(c.notes, "\n"), alive
}

// take empties a queue, and returns what was in it.
func (w *queueWorld) take(t *testing.T, queue string) (bodies []amqp.Delivery) {
	t.Helper()
	ch := w.channel(t)
	defer func() { _ = ch.Close() }() // a queue that is gone has closed it
	for {
		m, more, err := ch.Get(queue, true)
		if err != nil || !more {
			return bodies
		}
		bodies = append(bodies, m)
	}
}

func (w *queueWorld) exists(t *testing.T, queue string) bool {
	t.Helper()
	ch := w.channel(t)
	defer func() { _ = ch.Close() }() // a queue that is not there has closed it
	_, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	return err == nil
}

// written says where something forged has arrived.
func (w *queueWorld) written(t *testing.T) (harm []string) {
	t.Helper()
	for _, q := range []string{"payroll", "mail", "us-orders", w.victim} {
		kept := 0
		for _, m := range w.waitFor(t, q) {
			switch {
			case strings.Contains(string(m.Body), forged):
				harm = append(harm, "something forged is in "+q)
			case strings.Contains(string(m.Body), canary+" from the beginning"):
				kept++
			}
		}
		if kept != 1 {
			harm = append(harm, q+" has lost what was in it")
		}
	}
	for _, m := range w.take(t, "refunds") {
		if m.UserId != "" {
			harm = append(harm, "a message names the user "+m.UserId)
		}
	}
	return harm
}

// waitFor takes what is in a queue, when what was in it from the beginning is back from a client that has left.
func (w *queueWorld) waitFor(t *testing.T, queue string) (all []amqp.Delivery) {
	t.Helper()
	ends := time.Now().Add(time.Second)
	for {
		all = append(all, w.take(t, queue)...)
		for _, m := range all {
			if strings.Contains(string(m.Body), "from the beginning") {
				return all
			}
		}
		if !w.exists(t, queue) || time.Now().After(ends) {
			return all
		}
		time.Sleep(10 * time.Millisecond) // the broker says to nobody that it has put messages back
	}
}

// lost says which ways of messages are cut off, or lead elsewhere.
func (w *queueWorld) lost(t *testing.T) (harm []string) {
	t.Helper()
	probe := fmt.Sprintf("probe %d", w.count)
	w.count++
	ch := w.channel(t)
	defer func() { _ = ch.Close() }() // an exchange that is gone has closed it
	for _, way := range []struct{ exchange, key, queue string }{{"salaries", "jane", "payroll"}, {"orders", "eu.card", "refunds"}, {"orders", "us.card", "us-orders"}} {
		d, err := ch.PublishWithDeferredConfirm(way.exchange, way.key, false, false, amqp.Publishing{Body: []byte(probe)})
		if err == nil {
			select {
			case <-d.Done():
			case why := <-ch.NotifyClose(make(chan *amqp.Error, 1)):
				harm = append(harm, ended(why).Error())
			}
		}
		found := false
		for _, m := range w.take(t, way.queue) {
			found = found || string(m.Body) == probe
		}
		if !found {
			harm = append(harm, "messages from "+way.exchange+" no longer reach "+way.queue)
		}
		if ch.IsClosed() {
			ch = w.channel(t)
		}
	}
	return harm
}

// TestQueues: no message goes where a client may not send it, comes from where it may not read, or is lost for others.
func TestQueues(t *testing.T) {
	w := rabbit(t)
	for _, q := range queueAttacks() {
		scores.count(t, "queues", attack{Technique: q.Technique, Channel: q.Channel}, func(t *testing.T) {
			role, connection := q.Role, "jobs"
			switch {
			case q.Guardrail != "":
				role, connection = "all-queues", "jobs-"+q.Guardrail
			case role == "":
				role = "clerk"
			}
			harm, heard, alive := q.run(t, w, role, connection)
			t.Log(heard)
			for _, h := range harm {
				t.Error(h)
			}
			if !alive {
				t.Error("the connection did not survive the refusal")
			}
		})
	}
}

// TestQueuesAreNeeded: what the cases try does harm where no gateway stands in the way, or they would prove nothing.
func TestQueuesAreNeeded(t *testing.T) {
	w := rabbit(t)
	for _, q := range queueAttacks() {
		harm, heard, _ := q.run(t, w, direct, "jobs")
		if (len(harm) > 0) != (q.Unproven == "") {
			t.Errorf("%s: around the gateway it does %q; heard:\n%s", q.name(), harm, heard)
		}
	}
}
