package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestStockClients: what people call with works unchanged, in every version of HTTP that it speaks, to every kind of backend.
func TestStockClients(t *testing.T) {
	path := far(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RawQuery, b)
	})
	const node = `const [url, token] = process.argv.slice(1); const u = new URL(url);
`
	for _, x := range []struct {
		name    string
		command []string
	}{
		{"curl, HTTP/1.1", []string{"curl", "-sS", "--http1.1", "--cacert", "CA", "-H", "Authorization: Bearer TOKEN", "-d", "said", "URL"}},
		{"curl, HTTP/2", []string{"curl", "-sS", "--http2", "--cacert", "CA", "-H", "Authorization: Bearer TOKEN", "-d", "said", "URL"}},
		{"curl, chunked", []string{"curl", "-sS", "--http1.1", "--cacert", "CA", "-H", "Authorization: Bearer TOKEN", "-H", "Transfer-Encoding: chunked", "-d", "said", "URL"}},
		{"curl, waiting", []string{"curl", "-sS", "--http1.1", "--cacert", "CA", "-H", "Authorization: Bearer TOKEN", "-H", "Expect: 100-continue", "-d", "said", "URL"}},
		{"Node's fetch", []string{"node", "-e", node + `fetch(url, {method: "POST", body: "said", headers: {authorization: "Bearer " + token}}).then((r) => r.text()).then(console.log)`, "URL", "TOKEN"}},
		{"Node's fetch, a stream", []string{"node", "-e", node + `fetch(url, {method: "POST", duplex: "half", body: new Blob(["said"]).stream(), headers: {authorization: "Bearer " + token}}).then((r) => r.text()).then(console.log)`, "URL", "TOKEN"}},
		{"Node's http2", []string{"node", "-e", node + `const c = require("node:http2").connect(u.origin); const s = c.request({":method": "POST", ":path": u.pathname + u.search, authorization: "Bearer " + token});
s.setEncoding("utf8"); let out = ""; s.on("data", (d) => out += d); s.on("end", () => { console.log(out); c.close(); }); s.end("said");`, "URL", "TOKEN"}},
		{"Python's requests", []string{"python3", "-c", `import sys, requests; print(requests.post(sys.argv[1], data="said", headers={"Authorization": "Bearer " + sys.argv[2]}, verify=sys.argv[3]).text)`, "URL", "TOKEN", "CA"}},
		{"Python's urllib", []string{"python3", "-c", `import sys, ssl, urllib.request as u; r = u.Request(sys.argv[1], b"said", {"Authorization": "Bearer " + sys.argv[2]}); print(u.urlopen(r, context=ssl.create_default_context(cafile=sys.argv[3])).read().decode())`, "URL", "TOKEN", "CA"}},
	} {
		for _, connection := range []string{"plain", "two", "clear"} {
			t.Run(x.name+" to "+connection, func(t *testing.T) {
				ctx, end := context.WithTimeout(t.Context(), 30*time.Second)
				defer end()
				args := make([]string, len(x.command))
				for i, a := range x.command {
					args[i] = strings.NewReplacer("URL", on(connection, path)+"?a=b", "TOKEN", streaming.token, "CA", shared.gw.CAFile()).Replace(a)
					if a == node || strings.HasPrefix(a, node) || strings.HasPrefix(a, "import") {
						args[i] = a
					}
				}
				cmd := exec.CommandContext(ctx, args[0], args[1:]...)
				cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+shared.gw.CAFile())
				if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "POST a=b said" {
					t.Errorf("%s %v", out, err)
				}
			})
		}
	}
}
