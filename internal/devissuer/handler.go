package devissuer

import (
	"encoding/json"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// maxRequest bounds the body of a request for a token, in bytes.
const maxRequest = 64 << 10

// TokenRequest is the body of POST /token, as JSON. The secret goes in the Authorization header, as Bearer.
type TokenRequest struct {
	Subject  string         `json:"subject"`
	Audience []string       `json:"audience"`
	Lifetime string         `json:"lifetime,omitempty"` // such as 10m, which is the default
	Claims   map[string]any `json:"claims,omitempty"`
}

// TokenResponse is the answer to a TokenRequest.
type TokenResponse struct {
	Token string `json:"token"`
}

// Handler serves discovery (/.well-known/openid-configuration), the keys (/keys) and the tokens endpoint (POST /token).
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer":                                i.URL(),
			"jwks_uri":                              i.URL() + "/keys",
			"token_endpoint":                        i.URL() + "/token",
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { answer(w, i.keySet()) })
	mux.HandleFunc("POST /token", i.serveToken)
	return mux
}

func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		http.Error(w, "tokens are given to programs on this machine only", http.StatusForbidden)
		return
	}
	presented, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if i.secret.Empty() || !i.secret.Equal(access.NewSecret([]byte(presented))) {
		http.Error(w, "present the issuer's secret: Authorization: Bearer …", http.StatusUnauthorized)
		return
	}
	claims, err := readRequest(w, r)
	if err != nil {
		say, _ := fault.Say(err)
		http.Error(w, say, http.StatusBadRequest)
		return
	}
	token, err := i.Mint(claims)
	if err != nil {
		say, _ := fault.Say(err)
		http.Error(w, say, http.StatusBadRequest)
		return
	}
	answer(w, TokenResponse{Token: string(token.Reveal())})
}

// fromThisMachine keeps out other machines, and web pages that reach loopback through a browser on this one: by the
// address, by the name asked for (DNS rebinding) and by the headers that only browsers send.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	local := host == "localhost" || err == nil && a.Unmap().IsLoopback()
	return local && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == ""
}

func readRequest(w http.ResponseWriter, r *http.Request) (Claims, error) {
	const op = "devissuer.token"
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return Claims{}, fault.New(fault.Malformed, op, "send application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	d.UseNumber()
	var q TokenRequest
	if err := d.Decode(&q); err != nil {
		return Claims{}, fault.Wrap(fault.Malformed, op, err, "the request is not the JSON of a token request: %s", err)
	}
	c := Claims{Subject: q.Subject, Audience: q.Audience, Extra: q.Claims}
	if q.Lifetime != "" {
		lifetime, err := time.ParseDuration(q.Lifetime)
		if err != nil {
			return Claims{}, fault.New(fault.Malformed, op, "lifetime: give a duration such as 10m")
		}
		c.Lifetime = lifetime
	}
	return c, nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
	}
}
