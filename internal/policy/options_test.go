package policy_test

import (
	"reflect"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
)

// typeOf is the connection type whose options stand in a field.
func typeOf(t *testing.T, field string) string {
	t.Helper()
	f, ok := reflect.TypeFor[access.Connection]().FieldByName(field)
	if !ok {
		t.Fatalf("connections have no field %s", field)
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// TestOptionsOfATypeGoWithIt: those of another type are an error, and so is it to leave out what a type cannot do without.
func TestOptionsOfATypeGoWithIt(t *testing.T) {
	plain, account := typeOf(t, "HTTP"), typeOf(t, "AWS")
	names := append(vocab(), policy.Vocabulary{Type: plain}, policy.Vocabulary{Type: account})
	for _, c := range []struct {
		conn access.Connection
		want string
	}{
		{access.Connection{Type: plain}, ""},
		{access.Connection{Type: plain, HTTP: &access.HTTPOptions{}}, ""},
		{access.Connection{Type: account, AWS: &access.AWSOptions{}}, ""},
		{access.Connection{Type: account}, "needs " + account + ", with account and region"},
		{access.Connection{Type: plain, AWS: &access.AWSOptions{}}, "is for connections of type " + account},
		{access.Connection{Type: "db", HTTP: &access.HTTPOptions{}}, "is for connections of type " + plain},
	} {
		c.conn.Name = "c"
		d := world(nil, nil)
		d.Connections = append(d.Connections, &c.conn)
		_, err := policy.Compile(d, names, 1)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.conn, err)
		}
	}
}
