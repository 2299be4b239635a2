package message_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
)

func TestDocumentsSurviveTheWay(t *testing.T) {
	for _, d := range []access.Document{
		&access.Issuer{Name: "i", URL: "https://x.test", Audiences: []string{"a"}, MaxLifetime: access.Duration(time.Hour)},
		&access.Policy{Name: "p", Statements: []access.PolicyStatement{
			{Effect: "mask", Resources: []string{"*.ssn"}, With: &access.MaskWith{Word: "hash"}},
			{Effect: "mask", Resources: []string{"*.card"}, With: &access.MaskWith{Partial: &access.PartialWith{KeepLast: 4}}}}},
		&access.Connection{Name: "<&>\u2028", Type: "mem", Credential: access.Credential{Env: "X"}},
		&access.Role{Name: "r", Bind: []access.Binding{{Issuer: "i", Claims: map[string]any{"a": "b", "l": []any{"x"}}}}},
	} {
		b, err := message.EncodeDocument(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.DecodeDocument(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestRecordHoldsTheWholeEvent fails when access.Event gets a field that records do not show.
func TestRecordHoldsTheWholeEvent(t *testing.T) {
	var e access.Event
	fill(reflect.ValueOf(&e).Elem())
	r := reflect.ValueOf(message.NewRecord(7, &e))
	for i := range r.NumField() {
		if r.Field(i).IsZero() {
			t.Errorf("Record.%s stays empty", r.Type().Field(i).Name)
		}
	}
	if events := reflect.TypeFor[access.Event]().NumField(); r.NumField() != events+1 {
		t.Errorf("an event has %d fields, and a record %d, of which one is the sequence number", events, r.NumField())
	}
	if _, err := json.Marshal(r.Interface()); err != nil {
		t.Error(err)
	}
}

// fill sets every field to something that is not its zero value.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1, 0)))
			continue
		case time.Duration:
			f.SetInt(int64(time.Second))
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Uint64:
			f.SetUint(1)
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Struct:
			fill(f)
		case reflect.Bool:
			f.SetBool(true)
		}
	}
}
