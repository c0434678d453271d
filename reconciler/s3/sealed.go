package s3

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

const (
	sealSalt   = 32
	sealChance = sealSalt + 8 // salt and nonce; the rest of the cipher's nonce counts the pieces
	sealRounds = 8192         // of PBKDF2, fixed by the format
	sealForm   = byte(2)      // PBKDF2 with SHA-256, and AES-256 in GCM
	lastPiece  = byte(0x80)   // marks the piece after which nothing comes
)

// sealed encrypts what MinIO's admin API wants encrypted with the caller's secret key:
//
//	salt (32) | form (1) | nonce (8) | one piece of AES-GCM
//
// The format has pieces of up to 16 KiB, each bound to its number and to whether it is the
// last one; what is sealed here fits into one. chance are sealChance random bytes.
func sealed(secret string, chance, text []byte) ([]byte, error) {
	salt, nonce := chance[:sealSalt], chance[sealSalt:]
	key, err := pbkdf2.Key(sha256.New, secret, salt, sealRounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	numbered := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(slices.Clone(nonce), n) }
	// Piece 0 is empty, and its seal is what every other piece is bound to.
	bound := append([]byte{lastPiece}, gcm.Seal(nil, numbered(0), nil, nil)...)
	return gcm.Seal(slices.Concat(salt, []byte{sealForm}, nonce), numbered(1), text, bound), nil
}
