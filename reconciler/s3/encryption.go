package s3

import (
	"context"
	"strings"

	"github.com/minio/minio-go/v7/pkg/sse"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	byServer = "sse-s3"
	byKMS    = "sse-kms"
	// keyPrefix is what MinIO writes before the name of a key.
	keyPrefix = "arn:aws:kms:"
)

// encryption is with what objects are encrypted of which nobody says it.
type encryption struct{}

func (encryption) declared(b *spec.Bucket) bool { return b.Encryption != "" }

func (encryption) keep(from, to *spec.Bucket) { to.Encryption = from.Encryption }

func (encryption) read(ctx context.Context, c *connection, b, have *spec.Bucket) error {
	config, err := c.GetBucketEncryption(ctx, b.Name)
	switch {
	case codeOf(err) == "ServerSideEncryptionConfigurationNotFoundError":
		return nil
	case err != nil:
		return c.explain("read the encryption of bucket "+b.Name, err)
	case len(config.Rules) == 0:
		return nil
	}
	have.Encryption = encryptionOf(config.Rules[0].Apply)
	return nil
}

// encryptionOf says by the words of the file what a store says. The name of MinIO's key may
// stand with a prefix.
func encryptionOf(apply sse.ApplySSEByDefault) string {
	key := strings.TrimPrefix(apply.KmsMasterKeyID, keyPrefix)
	switch {
	case apply.SSEAlgorithm == "AES256":
		return byServer
	case key == "":
		return byKMS
	case strings.Contains(key, ":"): // that of AWS, whose prefix belongs to it
		key = apply.KmsMasterKeyID
	}
	return byKMS + ":" + key
}

func (encryption) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	doing := "set the encryption of bucket " + b.Name
	if b.Encryption == "" {
		return c.explain(doing, c.RemoveBucketEncryption(ctx, b.Name))
	}
	config := sse.NewConfigurationSSES3()
	if key, kms := strings.CutPrefix(b.Encryption, byKMS); kms {
		config = sse.NewConfigurationSSEKMS(strings.TrimPrefix(key, ":"))
	}
	return c.explain(doing, c.SetBucketEncryption(ctx, b.Name, config))
}
