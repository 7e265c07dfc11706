package netx

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// openSSLCiphers are OpenSSL's names of the suites that are there, from
// openssl-ciphers(1). The IANA names are accepted too.
var openSSLCiphers = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-SHA256":                 tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

func cipherField(p *[]uint16) option.Field {
	*p = nil
	return option.Custom("tls.ciphers", option.TypeString, "",
		"Cipher suites for TLS up to 1.2: names of OpenSSL or IANA separated by colons.",
		func(v option.Value) (err error) {
			*p, err = parseCiphers(v.Text)
			return err
		})
}

// parseCiphers reads an OpenSSL cipher list. Suites can only be named; classes
// such as HIGH stand for the default suites, and what excludes or orders
// (!x, -x, +x, @x) changes nothing, because none of the usual targets is ever
// offered. The list is in the order of preference only as far as the peer
// decides; between these suites crypto/tls orders.
func parseCiphers(list string) ([]uint16, error) {
	byName := map[string]uint16{}
	for _, s := range tls.CipherSuites() {
		byName[s.Name] = s.ID
	}
	for _, s := range tls.InsecureCipherSuites() {
		byName[s.Name] = s.ID
	}
	var ids []uint16
	var unknown []string
	classes := false
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ;", r) }) {
		if strings.ContainsRune("!-+@", rune(name[0])) {
			continue
		}
		id, ok := openSSLCiphers[strings.ToUpper(name)]
		if !ok {
			id, ok = byName[strings.ToUpper(name)]
		}
		switch {
		case ok:
			ids = append(ids, id)
		case strings.ContainsAny(name, "-_") && !strings.Contains(name, "+"):
			unknown = append(unknown, name)
		default:
			classes = true
		}
	}
	if classes {
		return nil, option.Lenient("%q holds classes of cipher suites; the default suites are used", list)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%q names no cipher suite that is there", list)
	}
	if len(unknown) > 0 {
		return ids, option.Lenient("cipher suites that are not there are left out: %s", strings.Join(unknown, ", "))
	}
	return ids, nil
}
