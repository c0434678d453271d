package s3

import (
	"encoding/hex"
	"testing"
)

// TestSealedIsWhatMinIOOpens holds against what MinIO's own library for this makes of the
// same salt, nonce, secret and text.
func TestSealedIsWhatMinIOOpens(t *testing.T) {
	chance := make([]byte, sealChance)
	for i := range chance {
		chance[i] = byte(i)
	}
	got, err := sealed("the-secret-of-the-caller", chance, []byte(`{"secretKey":"trino-secret","status":"enabled"}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f022021222324252627" +
		"d05cfd8edd0d6365d7ff612978d0edf3701d5b59b7c52ed147734a452b483fc3dceedc6eb8f1f109105159557bc31f4a7d1402829fde6aa25f2ba83d494d63"
	if hex.EncodeToString(got) != want {
		t.Errorf("%x", got)
	}
}
