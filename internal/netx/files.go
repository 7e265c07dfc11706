package netx

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// watched is a value read from files, read again when one of them changes. A
// change is looked for on each use, which costs a stat(2) per file, so there is
// nothing that runs in between. What cannot be read again stays as it was: a
// certificate that is half written must not stop the traffic.
type watched[T any] struct {
	paths []string
	read  func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	loaded bool
	seen   []stamp
	value  T
}

// stamp tells versions of a file apart.
type stamp struct {
	info fs.FileInfo
	size int64
	mod  time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info, info.Size(), info.ModTime()}
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == o.info
	}
	return s.size == o.size && s.mod.Equal(o.mod) && os.SameFile(s.info, o.info)
}

func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := make([]stamp, len(w.paths))
	changed := !w.loaded
	for i, p := range w.paths {
		now[i] = stampOf(p)
		changed = changed || !now[i].same(w.seen[i])
	}
	if !changed {
		return w.value, nil
	}
	v, err := w.read()
	switch {
	case err == nil:
		if w.loaded && w.log != nil {
			w.log.Info("read changed TLS files again", "files", w.paths)
		}
		w.value, w.seen, w.loaded = v, now, true
	case !w.loaded:
		return w.value, err
	case w.log != nil:
		// seen stays as it was: the next use tries again.
		w.log.Warn("cannot read changed TLS files; what was read before stays in use", "error", err)
	}
	return w.value, nil
}

// watchCert reads the certificate and its key, which may be in one file; nil
// when none is configured, or when there is a certificate without any key,
// which Fluent Bit takes in silence and never shows.
func watchCert(t TLS, log *slog.Logger) *watched[*tls.Certificate] {
	w := &watched[*tls.Certificate]{log: log}
	if t.CertFile == "" {
		w.read = func() (*tls.Certificate, error) { return nil, nil }
		return w
	}
	w.paths = []string{t.CertFile}
	if t.KeyFile != "" {
		w.paths = append(w.paths, t.KeyFile)
	}
	w.read = func() (*tls.Certificate, error) {
		cert, err := os.ReadFile(t.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.crt_file: %w", err)
		}
		keyFile, key := t.KeyFile, cert
		if keyFile == "" {
			keyFile = t.CertFile
			if !bytes.Contains(cert, []byte("PRIVATE KEY-----")) {
				if log != nil {
					log.Warn("tls.crt_file is not used: it holds no private key and tls.key_file is not given", "file", t.CertFile)
				}
				return nil, nil
			}
		} else if key, err = os.ReadFile(keyFile); err != nil {
			return nil, fmt.Errorf("read tls.key_file: %w", err)
		}
		if key, err = decryptKey(key, t.KeyPassword); err != nil {
			return nil, fmt.Errorf("read tls.key_file %q: %w", keyFile, err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("use tls.crt_file %q with tls.key_file %q: %w", t.CertFile, keyFile, err)
		}
		return &pair, nil
	}
	return w
}

// watchRoots reads the CA certificates; nil, which means those of the system,
// when none are configured.
func watchRoots(t TLS, log *slog.Logger) *watched[*x509.CertPool] {
	w := &watched[*x509.CertPool]{log: log}
	switch {
	case t.CAPath != "":
		w.paths = []string{t.CAPath}
		w.read = func() (*x509.CertPool, error) { return readCAPath(t.CAPath) }
	case t.CAFile != "":
		w.paths = []string{t.CAFile}
		w.read = func() (*x509.CertPool, error) {
			pem, err := os.ReadFile(t.CAFile)
			if err != nil {
				return nil, fmt.Errorf("read tls.ca_file: %w", err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("read tls.ca_file %q: it holds no PEM certificate", t.CAFile)
			}
			return pool, nil
		}
	default:
		w.read = func() (*x509.CertPool, error) { return nil, nil }
	}
	return w
}

// readCAPath collects the certificates of all files in a folder. Files that
// hold none are passed over, as a folder may hold revocation lists too.
func readCAPath(dir string) (*x509.CertPool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read tls.ca_path: %w", err)
	}
	pool, found := x509.NewCertPool(), false
	for _, e := range entries {
		pem, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			if info, serr := os.Stat(filepath.Join(dir, e.Name())); serr == nil && info.IsDir() || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("read tls.ca_path: %w", err)
		}
		found = pool.AppendCertsFromPEM(pem) || found
	}
	if !found {
		return nil, fmt.Errorf("read tls.ca_path %q: no file in it holds a PEM certificate", dir)
	}
	return pool, nil
}
