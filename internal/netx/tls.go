package netx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/option"
)

// TLS is the options of encrypted connections, either side.
type TLS struct {
	On             bool
	Verify         bool // check the other side's certificate
	VerifyHostname bool // clients: the certificate must be for the host
	VerifyClient   bool // servers: a client without a certificate is refused
	Debug          int  // accepted only
	CAPath         string
	CAFile         string
	CertFile       string
	KeyFile        string
	KeyPassword    string
	ServerName     string // sent and checked instead of the host
	MinVersion     uint16 // 0 for the default, as MaxVersion
	MaxVersion     uint16
	Ciphers        []uint16 // for TLS up to 1.2; nil for the default

	ProxyCAPath         string // of a proxy that is itself reached by TLS
	ProxyCAFile         string
	ProxyVerify         bool
	ProxyVerifyHostname bool

	windows [3]string
}

// Fields binds the options of clients.
func (t *TLS) Fields() []option.Field {
	t.VerifyClient = false
	return append(t.shared(),
		option.String(&t.ProxyCAFile, "tls.proxy.ca_file", "",
			"File of CA certificates to check the certificate of an HTTPS proxy with."),
		option.String(&t.ProxyCAPath, "tls.proxy.ca_path", "",
			"Folder of CA certificates to check the certificate of an HTTPS proxy with."),
		option.Bool(&t.ProxyVerify, "tls.proxy.verify", true,
			"Check the certificate of an HTTPS proxy."),
		option.Bool(&t.ProxyVerifyHostname, "tls.proxy.verify_hostname", true,
			"Check that the certificate of an HTTPS proxy is for its host."),
		option.String(&t.windows[0], "tls.windows.certstore_name", "",
			"Accepted for compatibility. The certificate store of the system is always used where no CA is given."),
		option.String(&t.windows[1], "tls.windows.use_enterprise_store", "",
			"Accepted for compatibility."),
		option.String(&t.windows[2], "tls.windows.client_thumbprints", "",
			"Accepted for compatibility."),
	)
}

// ServerFields binds the options of servers.
func (t *TLS) ServerFields() []option.Field {
	return append(t.shared(),
		option.Bool(&t.VerifyClient, "tls.verify_client_cert", false,
			"Refuse clients that send no certificate signed by a known CA."),
	)
}

func (t *TLS) shared() []option.Field {
	return []option.Field{
		option.Bool(&t.On, "tls", false, "Use TLS."),
		option.Bool(&t.Verify, "tls.verify", true,
			"Check that the certificate of the other side was signed by a known CA."),
		option.Bool(&t.VerifyHostname, "tls.verify_hostname", false,
			"Also check that the certificate of the server is for the host that it was reached by. Off by default as in Fluent Bit; turn it on."),
		option.Int(&t.Debug, "tls.debug", 1,
			"Accepted for compatibility. What goes wrong is always told in the error."),
		option.String(&t.CAFile, "tls.ca_file", "",
			"File of CA certificates (PEM). Without it and tls.ca_path those of the system are used."),
		option.String(&t.CAPath, "tls.ca_path", "",
			"Folder of CA certificates (PEM); it wins over tls.ca_file."),
		option.String(&t.CertFile, "tls.crt_file", "",
			"File of the certificate to show (PEM), followed by its chain. It is read again when it changes."),
		option.String(&t.KeyFile, "tls.key_file", "",
			"File of the certificate's private key (PEM). It is read again when it changes."),
		option.Secret(&t.KeyPassword, "tls.key_passwd",
			"Password of the private key."),
		option.String(&t.ServerName, "tls.vhost", "",
			"Name to ask the server for (SNI) and to check, instead of the host."),
		versionField(&t.MinVersion, "tls.min_version",
			"Lowest version of TLS: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3."),
		versionField(&t.MaxVersion, "tls.max_version",
			"Highest version of TLS."),
		cipherField(&t.Ciphers),
	}
}

// versionField reads a version as Fluent Bit does: a prefix of a name is
// enough, and the first one that fits counts.
func versionField(p *uint16, name, doc string) option.Field {
	*p = 0
	f := option.Custom(name, option.TypeString, "", doc, func(v option.Value) error {
		for _, known := range []struct {
			name    string
			version uint16
		}{
			{"SSLv2", tls.VersionTLS10},
			{"SSLv3", tls.VersionTLS10},
			{"TLSv1", tls.VersionTLS10},
			{"TLSv1.1", tls.VersionTLS11},
			{"TLSv1.2", tls.VersionTLS12},
			{"TLSv1.3", tls.VersionTLS13},
		} {
			if len(v.Text) > len(known.name) || !strings.EqualFold(known.name[:len(v.Text)], v.Text) {
				continue
			}
			*p = known.version
			if known.name[0] == 'S' && v.Text != "" {
				return option.Lenient("%s is broken and counts as TLSv1", known.name)
			}
			return nil
		}
		return option.Lenient("%q is no version of TLS and is ignored; use TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3", v.Text)
	})
	return f
}

// check reports contradictions between options, without looking at files.
func (t *TLS) check() error {
	switch {
	case t.KeyFile != "" && t.CertFile == "":
		return errors.New("tls.key_file is given without tls.crt_file")
	case t.MinVersion != 0 && t.MaxVersion != 0 && t.MinVersion > t.MaxVersion:
		return errors.New("tls.min_version is above tls.max_version")
	}
	return nil
}

// forProxy returns the options for the connection to a proxy.
func (t *TLS) forProxy() TLS {
	return TLS{Verify: t.ProxyVerify, VerifyHostname: t.ProxyVerifyHostname, CAFile: t.ProxyCAFile, CAPath: t.ProxyCAPath}
}

// config is what both sides share.
func (t *TLS) config() *tls.Config {
	c := &tls.Config{MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, CipherSuites: t.Ciphers}
	if t.MinVersion == 0 && t.MaxVersion != 0 {
		// Fluent Bit's lowest version when only the highest is given.
		c.MinVersion = min(tls.VersionTLS11, t.MaxVersion)
	}
	return c
}

// clientTLS makes the configuration of each connection of a client.
type clientTLS struct {
	opts  TLS
	roots *watched[*x509.CertPool]
	cert  *watched[*tls.Certificate]

	mu       sync.Mutex
	sessions tls.ClientSessionCache
	ofRoots  *x509.CertPool // what the servers of the sessions were checked with
}

// sessionCache returns the sessions to resume. Those with servers that were
// checked with other CA certificates are forgotten.
func (c *clientTLS) sessionCache(roots *x509.CertPool) tls.ClientSessionCache {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil || c.ofRoots != roots {
		c.sessions, c.ofRoots = tls.NewLRUClientSessionCache(8), roots
	}
	return c.sessions
}

func newClientTLS(t TLS, log *slog.Logger) (*clientTLS, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return &clientTLS{opts: t, roots: watchRoots(t, log), cert: watchCert(t, log)}, nil
}

// load reads the files, so that a missing one is known before it is needed.
func (c *clientTLS) load() error {
	if _, err := c.cert.get(); err != nil {
		return err
	}
	if !c.opts.Verify {
		return nil
	}
	_, err := c.roots.get()
	return err
}

// config returns the configuration for a connection to host.
func (c *clientTLS) config(host string, alpn []string) (*tls.Config, error) {
	cfg := c.opts.config()
	cfg.NextProtos = alpn
	cfg.ServerName = strings.TrimSuffix(host, ".")
	if c.opts.ServerName != "" {
		cfg.ServerName = c.opts.ServerName
	}
	cert, err := c.cert.get()
	if err != nil {
		return nil, err
	}
	if cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return cert, nil
		}
	}
	var roots *x509.CertPool
	if c.opts.Verify {
		if roots, err = c.roots.get(); err != nil {
			return nil, err
		}
	}
	if cert == nil {
		// With a certificate, a session must not outlive it.
		cfg.ClientSessionCache = c.sessionCache(roots)
	}
	if !c.opts.Verify {
		cfg.InsecureSkipVerify = true
		return cfg, nil
	}
	cfg.RootCAs = roots
	if !c.opts.VerifyHostname {
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			return verifyChain(s.PeerCertificates, roots, x509.ExtKeyUsageServerAuth)
		}
	}
	return cfg, nil
}

// verifyChain checks that the first certificate was signed by one of roots,
// whatever name it is for.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return errors.New("the other side sent no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// serverTLS makes the configuration of each connection of a server.
type serverTLS struct {
	opts  TLS
	roots *watched[*x509.CertPool]
	cert  *watched[*tls.Certificate]
	alpn  []string

	mu      sync.Mutex
	current *tls.Config // built from the two below; keeps the session tickets
	ofCert  *tls.Certificate
	ofRoots *x509.CertPool
}

func newServerTLS(t TLS, alpn []string, log *slog.Logger) (*serverTLS, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.CertFile == "" {
		return nil, errors.New("tls is on but tls.crt_file and tls.key_file are not given")
	}
	return &serverTLS{opts: t, roots: watchRoots(t, log), cert: watchCert(t, log), alpn: alpn}, nil
}

// load reads the files; a server without a certificate must not start.
func (s *serverTLS) load() error {
	_, err := s.build(nil)
	return err
}

// config returns a configuration that follows changes of the files.
func (s *serverTLS) config() *tls.Config {
	cfg := s.opts.config()
	cfg.NextProtos = s.alpn
	// A resumed session must not spare a client the check against changed CAs.
	cfg.SessionTicketsDisabled = s.opts.VerifyClient
	cfg.GetConfigForClient = s.build
	return cfg
}

func (s *serverTLS) build(*tls.ClientHelloInfo) (*tls.Config, error) {
	cert, err := s.cert.get()
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, fmt.Errorf("tls.crt_file %q holds no private key and tls.key_file is not given", s.opts.CertFile)
	}
	var roots *x509.CertPool
	if s.opts.Verify {
		if roots, err = s.roots.get(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.ofCert == cert && s.ofRoots == roots {
		return s.current, nil
	}
	cfg := s.opts.config()
	cfg.NextProtos = s.alpn
	cfg.Certificates = []tls.Certificate{*cert}
	cfg.SessionTicketsDisabled = s.opts.VerifyClient
	switch {
	case s.opts.VerifyClient && s.opts.Verify:
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	case s.opts.VerifyClient:
		cfg.ClientAuth = tls.RequireAnyClientCert
	case s.opts.Verify:
		// As in Fluent Bit a certificate is asked for whenever tls.verify is on, and
		// one that is sent must be good.
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	cfg.ClientCAs = roots
	s.current, s.ofCert, s.ofRoots = cfg, cert, roots
	return cfg, nil
}

// tlsHost splits the name off an address for TLS; a unix socket has none.
func tlsHost(network, address string) string {
	if network == "unix" {
		return "localhost"
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	return strings.Trim(address, "[]")
}

func tlsError(address string, err error) error {
	return fmt.Errorf("TLS handshake with %s: %w", address, err)
}
