package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// MinIO's admin API takes and gives JSON, under the signature of S3.
const (
	adminPath = "/minio/admin/v3/"
	// adminLimit bounds an answer: what is asked for takes a few kilobytes.
	adminLimit = 8 << 20
)

// errNoAdmin says that an answer is not from the admin API: the server is no MinIO.
var errNoAdmin = errors.New("the server has no admin API of MinIO")

// admin makes one call of the admin API. The error is a minio.ErrorResponse where the server
// answered with one, and errNoAdmin where that is none of the admin API.
func (c *connection) admin(ctx context.Context, method, call string, query url.Values, body []byte) ([]byte, error) {
	as, err := c.GetCreds()
	if err != nil {
		return nil, err
	}
	return c.signed(ctx, as, method, adminPath+call, query, body)
}

// signed sends one request that is signed by somebody.
func (c *connection) signed(ctx context.Context, as credentials.Value, method, path string, query url.Values, body []byte) ([]byte, error) {
	to := *c.EndpointURL()
	to.Path, to.RawQuery = path, query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(body)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	r = signer.SignV4(*r, as.AccessKeyID, as.SecretAccessKey, as.SessionToken, cmp.Or(c.store.Region, defaultRegion))
	answer, err := (&http.Client{Transport: c.heard}).Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, adminLimit))
	if err != nil || answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNoContent {
		return text, err
	}
	return nil, c.refused(answer, text)
}

// refused reads the error of an answer: JSON from the admin API, XML from S3 and from MinIO
// before it is up, anything from a proxy before it.
func (c *connection) refused(answer *http.Response, text []byte) error {
	var r minio.ErrorResponse
	isJSON := json.Unmarshal(text, &r) == nil
	if !isJSON {
		_ = xml.Unmarshal(text, &r) // whatever else it is, its status tells
	}
	r.StatusCode, r.Server = answer.StatusCode, answer.Header.Get("Server")
	r.Code, r.Message = cmp.Or(r.Code, answer.Status), cmp.Or(r.Message, answer.Status)
	if !isJSON && c.heard.server() != serverMinIO && r.StatusCode/100 == 4 || r.StatusCode == http.StatusNotImplemented {
		return errors.Join(errNoAdmin, r)
	}
	return r
}
