package httpx

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
)

// OAuth2 is the options to get access tokens with client credentials (RFC
// 6749, section 4.4).
type OAuth2 struct {
	On             bool
	TokenURL       string
	ClientID       string
	ClientSecret   string
	UserAgent      string
	Scope          string
	Audience       string
	Resource       string
	AuthMethod     string
	KeyFile        string // private_key_jwt
	CertFile       string
	JWTAudience    string
	JWTHeader      string
	JWTLifetime    int // seconds
	RefreshSkew    int // seconds
	Timeout        time.Duration
	ConnectTimeout time.Duration
}

// Fields binds the options.
func (o *OAuth2) Fields() []option.Field {
	return []option.Field{
		option.Bool(&o.On, "oauth2.enable", false, "Get an OAuth2 access token and send it with every request."),
		option.String(&o.TokenURL, "oauth2.token_url", "", "URL that tokens are asked from."),
		option.String(&o.ClientID, "oauth2.client_id", "", "The client's id."),
		option.Secret(&o.ClientSecret, "oauth2.client_secret", "The client's secret, for the methods basic and post."),
		option.String(&o.UserAgent, "oauth2.user_agent", "", "User-Agent of requests for tokens."),
		option.String(&o.Scope, "oauth2.scope", "", "Scope to ask for."),
		option.String(&o.Audience, "oauth2.audience", "", "Audience to ask for."),
		option.String(&o.Resource, "oauth2.resource", "", "Resource to ask for (RFC 8707)."),
		option.Enum(&o.AuthMethod, "oauth2.auth_method", "basic", []string{"basic", "post", "private_key_jwt"},
			"How the client proves who it is: by Basic authentication, by fields of the form, or by a JWT signed with its private key."),
		option.String(&o.KeyFile, "oauth2.jwt_key_file", "", "File of the RSA private key (PEM), for private_key_jwt."),
		option.String(&o.CertFile, "oauth2.jwt_cert_file", "", "File of the certificate (PEM or DER) whose fingerprint names the key, for private_key_jwt."),
		option.String(&o.JWTAudience, "oauth2.jwt_aud", "", "Audience of the signed JWT; by default the token URL."),
		option.String(&o.JWTHeader, "oauth2.jwt_header", "kid", "Header of the JWT that holds the fingerprint: kid, x5t or x5t#S256."),
		option.Int(&o.JWTLifetime, "oauth2.jwt_ttl_seconds", 300, "Lifetime of the signed JWT.").WithUnit("seconds"),
		option.Int(&o.RefreshSkew, "oauth2.refresh_skew_seconds", 60, "How long before its end a token is renewed.").WithUnit("seconds"),
		option.Seconds(&o.Timeout, "oauth2.timeout", "0s", "Longest time for a request of a token; by default the time that the output gives its own requests."),
		option.Seconds(&o.ConnectTimeout, "oauth2.connect_timeout", "0s", "Longest time to connect for a token; by default net.connect_timeout."),
	}
}

// TokenSource gets tokens and keeps the current one. It is safe for concurrent
// use.
type TokenSource struct {
	options OAuth2
	url     *url.URL
	client  *Client
	now     func() time.Time

	mu      sync.Mutex // held during a request: nobody can do without its result
	token   string
	expires time.Time
}

// NewTokenSource checks the options; it opens nothing. It returns nil if they
// are off. net is the network options of the plugin; timeout is for requests
// when oauth2.timeout is not given.
func (o *OAuth2) NewTokenSource(net *netx.Client, timeout time.Duration) (*TokenSource, error) {
	if !o.On {
		return nil, nil
	}
	if o.TokenURL == "" || o.ClientID == "" {
		return nil, errors.New("oauth2.enable needs oauth2.token_url and oauth2.client_id")
	}
	u, err := url.Parse(o.TokenURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("oauth2.token_url %q is not an http or https URL", o.TokenURL)
	}
	if o.AuthMethod == "private_key_jwt" {
		if o.KeyFile == "" || o.CertFile == "" {
			return nil, errors.New("oauth2.auth_method private_key_jwt needs oauth2.jwt_key_file and oauth2.jwt_cert_file")
		}
	} else if o.ClientSecret == "" {
		return nil, fmt.Errorf("oauth2.auth_method %s needs oauth2.client_secret", o.AuthMethod)
	}
	opts := *net
	if o.ConnectTimeout > 0 {
		opts.ConnectTimeout = o.ConnectTimeout
	}
	if o.Timeout > 0 {
		timeout = o.Timeout
	}
	// The token server is another one than the destination, so that its tls.*
	// options do not apply; a secret goes only to whom it belongs.
	d, err := netx.NewDialer(&opts, nil, nil)
	if err != nil {
		return nil, err
	}
	client, err := NewClient(d, ClientOptions{ResponseTimeout: timeout})
	if err != nil {
		return nil, err
	}
	return &TokenSource{options: *o, url: u, client: client, now: time.Now}, nil
}

// Close closes idle connections. A nil source is allowed.
func (s *TokenSource) Close() error {
	if s == nil {
		return nil
	}
	return s.client.Close()
}

// Token returns the current token, or a new one if that is about to end.
func (s *TokenSource) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.now().Before(s.expires) {
		return s.token, nil
	}
	token, lifetime, err := s.request(ctx)
	if err != nil {
		return "", fmt.Errorf("get an OAuth2 token: %w", err)
	}
	s.token, s.expires = token, s.now().Add(s.useFor(lifetime))
	return token, nil
}

// Invalidate forgets the token if it is still the current one.
func (s *TokenSource) Invalidate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// useFor is how long a token with the lifetime is used: a tenth and
// oauth2.refresh_skew_seconds are left. Of one so short that nothing remains,
// which Fluent Bit refuses, half is used.
func (s *TokenSource) useFor(lifetime time.Duration) time.Duration {
	use := lifetime - lifetime/10 - time.Duration(s.options.RefreshSkew)*time.Second
	if use <= 0 {
		use = lifetime / 2
	}
	return use
}

// defaultLifetime is for answers that do not tell it.
const defaultLifetime = 5 * time.Minute

// maxLifetime bounds what an answer may claim.
const maxLifetime = 30 * 24 * time.Hour

func (s *TokenSource) request(ctx context.Context) (token string, lifetime time.Duration, err error) {
	o := &s.options
	form := url.Values{"grant_type": {"client_credentials"}}
	add := func(key, value string) {
		if value != "" {
			form.Set(key, value)
		}
	}
	add("scope", o.Scope)
	add("audience", o.Audience)
	add("resource", o.Resource)
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if o.UserAgent != "" {
		header.Set("User-Agent", o.UserAgent)
	}
	switch o.AuthMethod {
	case "post":
		add("client_id", o.ClientID)
		add("client_secret", o.ClientSecret)
	case "private_key_jwt":
		assertion, err := s.assertion()
		if err != nil {
			return "", 0, err
		}
		add("client_id", o.ClientID)
		add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		add("client_assertion", assertion)
	default:
		header.Set("Authorization", BasicAuth(o.ClientID, o.ClientSecret))
	}
	resp, err := s.client.Do(ctx, &Request{Method: http.MethodPost, URL: s.url, Header: header, Body: []byte(form.Encode())})
	if err != nil {
		return "", 0, err
	}
	if resp.Status != http.StatusOK {
		return "", 0, fmt.Errorf("%s answered %d: %.200q", s.url.Redacted(), resp.Status, resp.Body)
	}
	var answer struct {
		Token   string      `json:"access_token"`
		Type    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil {
		return "", 0, fmt.Errorf("%s: %w", s.url.Redacted(), err)
	}
	if answer.Token == "" || strings.ContainsAny(answer.Token, "\r\n") {
		return "", 0, fmt.Errorf("%s: the answer holds no access_token", s.url.Redacted())
	}
	lifetime = defaultLifetime
	if sec, err := answer.Expires.Float64(); err == nil && sec > 0 {
		lifetime = time.Duration(min(sec, maxLifetime.Seconds()) * float64(time.Second))
	}
	return answer.Token, lifetime, nil
}

// assertion makes the JWT of RFC 7523, section 2.2.
func (s *TokenSource) assertion() (string, error) {
	o := &s.options
	key, err := readRSAKey(o.KeyFile)
	if err != nil {
		return "", fmt.Errorf("read oauth2.jwt_key_file %q: %w", o.KeyFile, err)
	}
	name, print, err := thumbprint(o.CertFile, o.JWTHeader)
	if err != nil {
		return "", fmt.Errorf("read oauth2.jwt_cert_file %q: %w", o.CertFile, err)
	}
	audience := o.JWTAudience
	if audience == "" {
		audience = o.TokenURL
	}
	lifetime := o.JWTLifetime
	if lifetime <= 0 {
		lifetime = 300
	}
	now := s.now().Unix()
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", name: print})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"iss": o.ClientID, "sub": o.ClientID, "aud": audience,
		"iat": now, "exp": now + int64(lifetime), "jti": rand.Text()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign the JWT: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

func readRSAKey(path string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it holds no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, errors.New("it is no RSA key")
}

// thumbprint returns the fingerprint of a certificate in the form that goes
// with the header: base64 for x5t and x5t#S256, else hexadecimal SHA-1.
func thumbprint(path, header string) (name, print string, err error) {
	der, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "", "", err
	}
	sha, sha2 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	switch {
	case header == "":
		header = "kid"
	case strings.EqualFold(header, "x5t"):
		return header, base64.RawURLEncoding.EncodeToString(sha[:]), nil
	case strings.EqualFold(header, "x5t#S256"):
		return header, base64.RawURLEncoding.EncodeToString(sha2[:]), nil
	}
	return header, strings.ToUpper(hex.EncodeToString(sha[:])), nil
}

// BasicAuth is the value of the header Authorization for a user and password
// (RFC 7617).
func BasicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
