package http

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/mask/body"
)

func watched(t *testing.T, rules *body.Rules, kind string, src io.Reader) error {
	t.Helper()
	v := &visit{p: &protocol{override: rules}}
	out := gate.Outgoing{Method: "POST", Header: headers("Content-Type", kind), Stream: io.NopCloser(src)}
	err := v.watchMethod(&out)
	if err == nil {
		_, err = io.Copy(io.Discard, out.Stream)
	}
	return err
}

// TestAttackByMethodInBodies: a body that nobody holds does not change the method that was judged, however it is cut, and others pass.
func TestAttackByMethodInBodies(t *testing.T) {
	rules, err := overrideRules()
	if err != nil {
		t.Fatal(err)
	}
	const form, parts, json = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"
	part := func(header string) string {
		return "--x\r\n" + header + "\r\n\r\nDELETE\r\n--x--\r\n"
	}
	for _, c := range []struct {
		kind, body string
		refused    bool
	}{
		{form, "_method=DELETE", true}, {form, "a=1&_method=DELETE&b=2", true}, {form, "a=1&_METHOD=DELETE", true}, {form, "a=1&%5fmethod=DELETE", true}, {form, "a=1;_method=DELETE", true},
		{form, "a=%zz&_method", true}, {form, "a=1&+_method=x", true}, {form, "a=1&" + strings.Repeat("%20", 500) + ".method=x", true}, {form, "a=1&[method=x", true}, {form, "_method[]=x", true},
		{form, "a=1&" + strings.Repeat("b", 5000) + "=&_method=x", true},
		{form, "a=_method&b=x_method&__method=1&_methods=1&method=1&c", false}, {form, `{"_method":"x"}`, false}, {form, "", false},
		{parts, part(`Content-Disposition: form-data; name="_method"`), true}, {parts, part(`content-disposition:form-data;name=_method`), true}, {parts, part("Content-Disposition: form-data;\r\n\tname=\"_method\""), true},
		{parts, part(`Content-Disposition: form-data; filename="x"; name="_me\thod"`), true}, {parts, part(`Content-Disposition: form-data; name*=utf-8''%5fmethod`), true},
		{parts, part(`Content-Disposition: form-data; a="` + strings.Repeat("a", 5000) + `"; name="_method"`), true}, {parts, "--x\nContent-Disposition: form-data; name=.method", true},
		{parts, part(`Content-Disposition: form-data; name="file"; filename="a.html"`) + "<input name=\"_method\">\r\n", false}, {parts, part(`Content-Type: text/plain; name="_method"`), false},
		{json, `{"a":1,"_method":"DELETE"}`, true}, {json, `{"\u005fMETHOD":"DELETE"}`, true}, {json, `{"` + strings.Repeat("a", 70_000) + `":1,"_method":"DELETE"}`, true}, {json, `{"a":1` + strings.Repeat("0", 5000) + `,"\u005fmethod":"x"}`, true},
		{json, "{\"a\":1}\n{\"_method\":1}", true},
		{json, `{"a":{"_method":1},"b":["_method"],"c":"_method"}`, false}, {json, "{\"a\":1}\n{\"b\":1}", false}, {json, "no JSON", false}, {"text/plain", "_method=DELETE", false},
	} {
		for how, src := range map[string]io.Reader{"at once": strings.NewReader(c.body), "byte by byte": iotest.OneByteReader(strings.NewReader(c.body)), "with its end": iotest.DataErrReader(strings.NewReader(c.body))} {
			if err := watched(t, rules, c.kind, src); errors.Is(err, &fault.Error{Kind: fault.Malformed}) != c.refused || !c.refused && err != nil {
				t.Errorf("%s %.80q %s: %v", c.kind, c.body, how, err)
			}
		}
	}
	v := &visit{p: &protocol{override: rules}}
	held := gate.Outgoing{Method: "POST", Header: headers("Content-Type", parts), Body: []byte(part(`Content-Disposition: form-data; name="_method"`))}
	if v.watchMethod(&held) == nil {
		t.Error("what is held is not looked at")
	}
}
