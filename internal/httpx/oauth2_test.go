package httpx

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
)

func netDefaults() *netx.Client {
	n := &netx.Client{}
	n.Fields()
	return n
}

func tokenSource(t *testing.T, kv ...string) *TokenSource {
	t.Helper()
	var o OAuth2
	set(t, o.Fields(), append([]string{"oauth2.enable", "on"}, kv...)...)
	s, err := o.NewTokenSource(netDefaults(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestTokenRequests(t *testing.T) {
	var form, auth string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form, auth = r.PostForm.Encode(), r.Header.Get("Authorization")
		fmt.Fprint(w, `{"access_token":"tok","token_type":"Bearer","expires_in":3600}`)
	}))
	defer s.Close()
	f := func(wantForm, wantAuth string, kv ...string) {
		t.Helper()
		src := tokenSource(t, append([]string{"oauth2.token_url", s.URL + "/token", "oauth2.client_id", "me", "oauth2.client_secret", "s3"}, kv...)...)
		if tok, err := src.Token(t.Context()); tok != "tok" || err != nil {
			t.Fatalf("got %q, %v", tok, err)
		}
		if form != wantForm || auth != wantAuth {
			t.Errorf("the server got %q with %q, want %q with %q", form, auth, wantForm, wantAuth)
		}
	}
	f("grant_type=client_credentials", "Basic bWU6czM=")
	f("audience=a&grant_type=client_credentials&resource=r&scope=x+y", "Basic bWU6czM=",
		"oauth2.scope", "x y", "oauth2.audience", "a", "oauth2.resource", "r")
	f("client_id=me&client_secret=s3&grant_type=client_credentials", "", "oauth2.auth_method", "POST")
}

func TestTokensAreKeptAndRenewed(t *testing.T) {
	var n atomic.Int64
	var lifetime atomic.Int64
	lifetime.Store(1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"t%d","expires_in":%d}`, n.Add(1), lifetime.Load())
	}))
	defer s.Close()
	src := tokenSource(t, "oauth2.token_url", s.URL, "oauth2.client_id", "me", "oauth2.client_secret", "s3")
	now := time.Now()
	src.now = func() time.Time { return now }
	want := func(tok string) {
		t.Helper()
		if got, err := src.Token(t.Context()); got != tok || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, tok)
		}
	}
	want("t1")
	now = now.Add(839 * time.Second) // 1000, less a tenth, less the skew of 60
	want("t1")
	now = now.Add(2 * time.Second)
	want("t2")
	src.Invalidate("t1") // not the current one
	want("t2")
	src.Invalidate("t2")
	lifetime.Store(30) // shorter than the skew
	want("t3")
	now = now.Add(14 * time.Second)
	want("t3")
	now = now.Add(2 * time.Second)
	want("t4")
}

func TestBadTokenAnswers(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		defer s.Close()
		src := tokenSource(t, "oauth2.token_url", s.URL, "oauth2.client_id", "me", "oauth2.client_secret", "s3cret")
		_, err := src.Token(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: got %v, want %q", body, err, want)
		}
	}
	f(401, "no", "answered 401")
	f(200, "<html>", "invalid character")
	f(200, "{}", "no access_token")
	f(200, `{"access_token":"a\nb"}`, "no access_token")
}

func TestOAuth2Options(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		var o OAuth2
		set(t, o.Fields(), append([]string{"oauth2.enable", "on"}, kv...)...)
		_, err := o.NewTokenSource(netDefaults(), 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", kv, err, want)
		}
	}
	f("needs oauth2.token_url and oauth2.client_id")
	f("not an http", "oauth2.token_url", "ftp://x", "oauth2.client_id", "me")
	f("needs oauth2.client_secret", "oauth2.token_url", "http://x", "oauth2.client_id", "me")
	f("needs oauth2.jwt_key_file", "oauth2.token_url", "http://x", "oauth2.client_id", "me", "oauth2.auth_method", "private_key_jwt")
	var off OAuth2
	off.Fields()
	if s, err := off.NewTokenSource(netDefaults(), 0); s != nil || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	var tokens, requests atomic.Int64
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"t%d","expires_in":1000}`, tokens.Add(1))
	}))
	defer ts.Close()
	accept := "Bearer t1"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != accept || len(r.Header["Authorization"]) != 1 {
			w.WriteHeader(401)
		}
	}))
	defer s.Close()
	c := newClient(t, ClientOptions{OAuth2: tokenSource(t, "oauth2.token_url", ts.URL, "oauth2.client_id", "me", "oauth2.client_secret", "x")})
	ask := func(want int) {
		t.Helper()
		req := post(t, s.URL, []byte("x"))
		req.Header = http.Header{"authorization": {"Basic bm8="}} // the token wins
		resp, err := c.Do(t.Context(), req)
		if err != nil || resp.Status != want {
			t.Errorf("got %+v, %v, want %d", resp, err, want)
		}
	}
	ask(200)
	accept = "Bearer t2"
	ask(200)
	if tokens.Load() != 2 || requests.Load() != 3 {
		t.Errorf("%d tokens, %d requests", tokens.Load(), requests.Load())
	}
	accept = "never"
	ask(401) // once more, and no more
	if tokens.Load() != 3 || requests.Load() != 5 {
		t.Errorf("%d tokens, %d requests", tokens.Load(), requests.Load())
	}
}

// signer makes tokens and serves its public keys.
type signer struct {
	key     *rsa.PrivateKey
	fetches atomic.Int64
	down    atomic.Bool
	url     string
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{key: key}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		if s.down.Load() {
			w.WriteHeader(500)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{
			map[string]string{"kty": "EC", "kid": "other"},
			map[string]string{"kty": "RSA", "kid": "k1", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes())},
		}})
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *signer) sign(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestTokensOfRequestsAreChecked(t *testing.T) {
	s := newSigner(t)
	other := newSigner(t)
	var j JWT
	set(t, j.Fields(), "oauth2.validate", "on", "oauth2.issuer", "me", "oauth2.jwks_url", s.url,
		"oauth2.allowed_audience", "logs", "oauth2.allowed_clients", "a,b", "oauth2.allowed_clients", "c")
	v, err := j.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	header := map[string]any{"alg": "RS256", "kid": "k1"}
	exp := time.Now().Unix() + 100
	claims := func(change ...any) map[string]any {
		m := map[string]any{"iss": "me", "aud": "logs", "exp": exp, "azp": "a"}
		for i := 0; i < len(change); i += 2 {
			m[change[i].(string)] = change[i+1]
		}
		return m
	}
	f := func(auth, want string) {
		t.Helper()
		err := v.Validate(t.Context(), auth)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	good := s.sign(t, header, claims())
	f("Bearer "+good, "")
	f(" bearer  "+good+" ", "")
	f("Bearer "+s.sign(t, header, claims("aud", []string{"x", "logs"}, "azp", "", "client_id", "c")), "")
	f("", "no bearer token")
	f("Basic eA==", "no bearer token")
	f("Bearer x", "no JWT")
	f("Bearer x.y.z", "read the header")
	f("Bearer "+good[:len(good)-8]+"AAAAAAAA", "signature")
	f("Bearer "+other.sign(t, header, claims()), "signature is wrong")
	f("Bearer "+s.sign(t, map[string]any{"alg": "none"}, claims()), "only RS256")
	f("Bearer "+s.sign(t, map[string]any{"alg": "HS256", "kid": "k1"}, claims()), "only RS256")
	f("Bearer "+s.sign(t, map[string]any{"alg": "RS256"}, claims()), "only RS256")
	f("Bearer "+s.sign(t, map[string]any{"alg": "RS256", "kid": "k2"}, claims()), "no public key")
	f("Bearer "+s.sign(t, header, claims("exp", exp-1000)), "expired")
	f("Bearer "+s.sign(t, header, claims("exp", nil)), "expired")
	f("Bearer "+s.sign(t, header, claims("nbf", exp+1000)), "not valid yet")
	f("Bearer "+s.sign(t, header, claims("iss", "you")), "another issuer")
	f("Bearer "+s.sign(t, header, claims("aud", "metrics")), "another audience")
	f("Bearer "+s.sign(t, header, claims("azp", "d")), "not allowed")
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}

	// When they are old and cannot be had, the old ones serve on.
	now := time.Now()
	v.now = func() time.Time { return now }
	exp = now.Unix() + 10_000
	good = s.sign(t, header, claims())
	now = now.Add(301 * time.Second)
	s.down.Store(true)
	f("Bearer "+good, "")
	f("Bearer "+good, "")
	if n := s.fetches.Load(); n != 2 {
		t.Errorf("the keys were fetched %d times, want twice", n)
	}
	if err := (*Validator)(nil).Validate(context.Background(), ""); err != nil {
		t.Errorf("without oauth2.validate: %v", err)
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	issuer := newSigner(t)
	dir := t.TempDir()
	keyFile, certFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "me"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &issuer.key.PublicKey, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{
		keyFile:  {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(issuer.key)},
		certFile: {Type: "CERTIFICATE", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var assertion string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		assertion = r.PostForm.Get("client_assertion")
		fmt.Fprint(w, `{"access_token":"t","expires_in":1000}`)
	}))
	defer s.Close()
	f := func(name string, length int) {
		t.Helper()
		src := tokenSource(t, "oauth2.token_url", s.URL, "oauth2.client_id", "me", "oauth2.auth_method", "private_key_jwt",
			"oauth2.jwt_key_file", keyFile, "oauth2.jwt_cert_file", certFile, "oauth2.jwt_header", name)
		if _, err := src.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(assertion, ".")
		var header, claims map[string]any
		if decodePart(parts[0], &header) != nil || decodePart(parts[1], &claims) != nil {
			t.Fatalf("the assertion is %q", assertion)
		}
		if print, _ := header[name].(string); len(print) != length {
			t.Errorf("%s is %q", name, print)
		}
		if claims["iss"] != "me" || claims["sub"] != "me" || claims["aud"] != s.URL || claims["exp"].(float64)-claims["iat"].(float64) != 300 {
			t.Errorf("the claims are %v", claims)
		}
		sig, _ := base64.RawURLEncoding.DecodeString(parts[2])
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(&issuer.key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			t.Error(err)
		}
	}
	f("kid", 40)
	f("x5t", 27)
	f("x5t#S256", 43)
}
