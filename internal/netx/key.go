package netx

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

// decryptKey returns the PEM text of a private key without its encryption, or
// the text as it is if it is not encrypted. It reads the two forms that OpenSSL
// writes: PKCS #8 with PBES2 (RFC 8018), and the older "Proc-Type: ENCRYPTED".
func decryptKey(text []byte, password string) ([]byte, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return text, nil
		}
		var der []byte
		var err error
		kind := block.Type
		switch {
		case kind == "ENCRYPTED PRIVATE KEY":
			if password == "" {
				return nil, errors.New("the private key is encrypted and tls.key_passwd is not given")
			}
			der, err = decryptPKCS8(block.Bytes, []byte(password))
			kind = "PRIVATE KEY"
		case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // The form is weak, but in use.
			if password == "" {
				return nil, errors.New("the private key is encrypted and tls.key_passwd is not given")
			}
			der, err = x509.DecryptPEMBlock(block, []byte(password)) //nolint:staticcheck
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("decrypt the private key: %w", err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
	}
}

// The structures of RFC 8018, appendix A, and RFC 5958, section 3.
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt   []byte
	Rounds int
	KeyLen int                      `asn1:"optional"`
	PRF    pkix.AlgorithmIdentifier `asn1:"optional"`
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// pbeHash returns the hash of a PBKDF2 pseudo-random function; none means SHA-1.
func pbeHash(oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	switch oid.String() {
	case "", "1.2.840.113549.2.7":
		return sha1.New, nil
	case "1.2.840.113549.2.9":
		return sha256.New, nil
	case "1.2.840.113549.2.10":
		return sha512.New384, nil
	case "1.2.840.113549.2.11":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("unknown function %v to derive the key with", oid)
}

// pbeCipher returns a block cipher and the length of its key.
func pbeCipher(oid asn1.ObjectIdentifier) (func([]byte) (cipher.Block, error), int, error) {
	switch oid.String() {
	case "2.16.840.1.101.3.4.1.2":
		return aes.NewCipher, 16, nil
	case "2.16.840.1.101.3.4.1.22":
		return aes.NewCipher, 24, nil
	case "2.16.840.1.101.3.4.1.42":
		return aes.NewCipher, 32, nil
	case "1.2.840.113549.3.7":
		return des.NewTripleDESCipher, 24, nil
	}
	return nil, 0, fmt.Errorf("unknown cipher %v", oid)
}

// maxRounds bounds the work that a key file can ask for; OpenSSL writes 2048.
const maxRounds = 10_000_000

func decryptPKCS8(der, password []byte) ([]byte, error) {
	var key encryptedKey
	var scheme pbes2
	var kdf pbkdf2Params
	var iv []byte
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil, err
	}
	if !key.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("unknown scheme %v; PBES2 is expected", key.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(key.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	if !scheme.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("unknown key derivation %v; PBKDF2 is expected", scheme.KDF.Algorithm)
	}
	if _, err := asn1.Unmarshal(scheme.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	hash, err := pbeHash(kdf.PRF.Algorithm)
	if err != nil {
		return nil, err
	}
	newCipher, size, err := pbeCipher(scheme.Cipher.Algorithm)
	if err != nil {
		return nil, err
	}
	if kdf.Rounds < 1 || kdf.Rounds > maxRounds {
		return nil, fmt.Errorf("%d rounds to derive the key", kdf.Rounds)
	}
	secret, err := pbkdf2.Key(hash, string(password), kdf.Salt, kdf.Rounds, size)
	if err != nil {
		return nil, err
	}
	block, err := newCipher(secret)
	if err != nil {
		return nil, err
	}
	n := block.BlockSize()
	if len(iv) != n || len(key.Data) == 0 || len(key.Data)%n != 0 {
		return nil, errors.New("the encrypted data has a wrong length")
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, key.Data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > n {
		return nil, errors.New("the password is wrong")
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errors.New("the password is wrong")
		}
	}
	return plain[:len(plain)-pad], nil
}
