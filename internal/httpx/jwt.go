package httpx

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/internal/netx"
	"github.com/kagarilog/kagari/option"
)

// JWT is the options to check access tokens of incoming requests (RFC 7519,
// signed with RS256).
type JWT struct {
	On              bool
	Issuer          string
	KeysURL         string
	Audience        string
	Clients         []string
	RefreshInterval int // seconds
}

// Fields binds the options.
func (j *JWT) Fields() []option.Field {
	return []option.Field{
		option.Bool(&j.On, "oauth2.validate", false, "Refuse requests without a valid OAuth2 access token (a JWT signed with RS256)."),
		option.String(&j.Issuer, "oauth2.issuer", "", "Issuer that tokens must be from."),
		option.String(&j.KeysURL, "oauth2.jwks_url", "", "URL of the issuer's public keys (JWKS)."),
		option.String(&j.Audience, "oauth2.allowed_audience", "", "Audience that tokens must be for."),
		option.Strings(&j.Clients, "oauth2.allowed_clients", "", "Clients (azp or client_id) whose tokens are accepted; all if not given.").WithRepeat(),
		option.Int(&j.RefreshInterval, "oauth2.jwks_refresh_interval", 300, "Time after which the public keys are fetched again.").WithUnit("seconds"),
	}
}

// Validator checks tokens. It is safe for concurrent use.
type Validator struct {
	options JWT
	url     *url.URL
	client  *Client
	now     func() time.Time

	mu      sync.Mutex // held while the keys are fetched
	keys    map[string]*rsa.PublicKey
	fetched time.Time
	tried   time.Time // of the last attempt that failed
}

// NewValidator checks the options; it opens nothing. It returns nil if they are
// off.
func (j *JWT) NewValidator() (*Validator, error) {
	if !j.On {
		return nil, nil
	}
	if j.Issuer == "" || j.KeysURL == "" {
		return nil, errors.New("oauth2.validate needs oauth2.issuer and oauth2.jwks_url")
	}
	u, err := url.Parse(j.KeysURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("oauth2.jwks_url %q is not an http or https URL", j.KeysURL)
	}
	var net netx.Client
	net.Fields()
	d, err := netx.NewDialer(&net, nil, nil)
	if err != nil {
		return nil, err
	}
	client, err := NewClient(d, ClientOptions{ResponseTimeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	v := &Validator{options: *j, url: u, client: client, now: time.Now}
	if v.options.RefreshInterval <= 0 {
		v.options.RefreshInterval = 300
	}
	return v, nil
}

// Close closes idle connections. A nil validator is allowed.
func (v *Validator) Close() error {
	if v == nil {
		return nil
	}
	return v.client.Close()
}

// claims are the parts of a token that are checked.
type claims struct {
	Issuer   string          `json:"iss"`
	Expires  json.Number     `json:"exp"`
	Before   json.Number     `json:"nbf"`
	Audience json.RawMessage `json:"aud"`
	AZP      string          `json:"azp"`
	ClientID string          `json:"client_id"`
	AppID    string          `json:"appid"`
}

// Validate checks the value of the header Authorization. A nil validator
// accepts everything. The error is a *RequestError.
func (v *Validator) Validate(ctx context.Context, authorization string) error {
	if v == nil {
		return nil
	}
	if err := v.validate(ctx, authorization); err != nil {
		return refuse(http.StatusUnauthorized, "unauthorized", "check the access token: %w", err)
	}
	return nil
}

func (v *Validator) validate(ctx context.Context, authorization string) error {
	const bearer = "Bearer "
	text := strings.TrimSpace(authorization)
	if len(text) < len(bearer) || !strings.EqualFold(text[:len(bearer)], bearer) {
		return errors.New("there is no bearer token")
	}
	text = strings.TrimSpace(text[len(bearer):])
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return errors.New("it is no JWT")
	}
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	if err := decodePart(parts[0], &header); err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	if header.Algorithm != "RS256" || header.KeyID == "" {
		return errors.New("only RS256 with a key id is accepted")
	}
	var c claims
	if err := decodePart(parts[1], &c); err != nil {
		return fmt.Errorf("read the claims: %w", err)
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("read the signature: %w", err)
	}
	key, err := v.key(ctx, header.KeyID)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(text[:len(parts[0])+1+len(parts[1])]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig); err != nil {
		return errors.New("the signature is wrong")
	}
	return v.check(&c)
}

func (v *Validator) check(c *claims) error {
	now := float64(v.now().Unix())
	if exp, err := c.Expires.Float64(); err != nil || exp <= now {
		return errors.New("it has expired")
	}
	if before, err := c.Before.Float64(); err == nil && before > now+60 {
		return errors.New("it is not valid yet")
	}
	if c.Issuer != v.options.Issuer {
		return fmt.Errorf("it is from another issuer, %.100q", c.Issuer)
	}
	if want := v.options.Audience; want != "" {
		var one string
		var many []string
		if json.Unmarshal(c.Audience, &one) == nil {
			many = []string{one}
		} else {
			_ = json.Unmarshal(c.Audience, &many)
		}
		if !slices.Contains(many, want) {
			return errors.New("it is for another audience")
		}
	}
	if len(v.options.Clients) == 0 {
		return nil
	}
	client := c.AZP
	if client == "" {
		client = c.ClientID
	}
	if client == "" {
		client = c.AppID
	}
	if !slices.Contains(v.options.Clients, client) {
		return fmt.Errorf("client %.100q is not allowed", client)
	}
	return nil
}

func decodePart(s string, to any) error {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

// retryKeys is the pause after the keys could not be fetched: a stream of bad
// tokens must not become a stream of requests.
const retryKeys = 5 * time.Second

// key returns the public key of that id. An unknown id fetches nothing before
// its time, for the same reason.
func (v *Validator) key(ctx context.Context, id string) (*rsa.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if v.fetched.IsZero() || now.Sub(v.fetched) >= time.Duration(v.options.RefreshInterval)*time.Second {
		if now.Sub(v.tried) >= retryKeys {
			keys, err := v.fetch(ctx)
			switch {
			case err == nil:
				v.keys, v.fetched = keys, now
			case v.keys == nil:
				v.tried = now
				return nil, fmt.Errorf("fetch the public keys: %w", err)
			default:
				v.tried = now // the old ones serve on
			}
		}
	}
	key := v.keys[id]
	if key == nil {
		return nil, fmt.Errorf("there is no public key %.100q", id)
	}
	return key, nil
}

func (v *Validator) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	resp, err := v.client.Do(ctx, &Request{Method: http.MethodGet, URL: v.url, MaxAnswer: 1 << 20})
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", v.url.Redacted(), resp.Status)
	}
	var set struct {
		Keys []struct {
			Type     string `json:"kty"`
			ID       string `json:"kid"`
			Modulus  string `json:"n"`
			Exponent string `json:"e"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(resp.Body, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, nerr := base64.RawURLEncoding.DecodeString(strings.TrimRight(k.Modulus, "="))
		e, eerr := base64.RawURLEncoding.DecodeString(strings.TrimRight(k.Exponent, "="))
		if k.Type != "RSA" || k.ID == "" || nerr != nil || eerr != nil || len(n) == 0 || len(e) == 0 || len(e) > 4 {
			continue
		}
		exp := new(big.Int).SetBytes(e).Int64()
		keys[k.ID] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp)}
	}
	if len(keys) == 0 {
		return nil, errors.New("the answer holds no RSA keys")
	}
	return keys, nil
}
