package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// trouble is why a store did not do what it was asked, in words that say what to do.
type trouble struct {
	says string
	// passing: it may be over in a moment, such as when a server has just been started.
	passing bool
	cause   error
}

func (t *trouble) Error() string { return t.says }
func (t *trouble) Unwrap() error { return t.cause }

// Passing tells those who cannot see this type whether it may be over in a moment.
func (t *trouble) Passing() bool { return t.passing }

// passing tells whether an error is worth waiting for its end.
func passing(err error) bool {
	var t *trouble
	return errors.Is(err, errNotRunning) || errors.As(err, &t) && t.passing
}

// codeOf is the store's own word for an error, "" where it did not answer.
func codeOf(err error) string {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return ""
	}
	return answer.Code
}

// passingAnswers are those of a store that may answer otherwise when it is asked again.
var passingAnswers = []int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// busy tells whether a store has answered that it has no time now: it has just been started
// ("Server not initialized"), or has too much to do.
func busy(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusTooManyRequests)
}

// explain says what went wrong when the store was asked to do something. Without an error
// there is nothing to say.
func (c *connection) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return c.unreached(err)
	}
	name := c.store.Name
	t := &trouble{cause: err, passing: slices.Contains(passingAnswers, answer.StatusCode)}
	switch answer.Code {
	case "InvalidAccessKeyId", "XAdminUserNotFound": // the second is versitygw's
		t.says = fmt.Sprintf("the store %s does not know the access key: check %s", name, c.keyed("access_key"))
	case "SignatureDoesNotMatch":
		t.says = fmt.Sprintf("the store %s refuses the secret key: check %s", name, c.keyed("secret_key"))
	case "RequestTimeTooSkewed":
		t.says = fmt.Sprintf("the clock of the store %s and that of this machine are too far apart for its signatures: set both right", name)
	case "AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException", "PermanentRedirect":
		t.says = fmt.Sprintf("the store %s is in another region (%s): check stores.%s.region", name, cmp.Or(answer.Region, answer.Message), name)
	case "ExpiredToken", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired": // the third is MinIO's
		t.says = fmt.Sprintf("the store %s does not take the session token, or not any more: check %s", name, c.keyed("access_key"))
	case "XMinioStorageFull":
		t.says = fmt.Sprintf("the disk of the store %s is full, so it cannot %s (XMinioStorageFull): make room there", name, doing)
	case minio.AccessDenied:
		t.says = fmt.Sprintf("the %s of the store %s may not %s%s", c.keys.name(), name, doing, c.told())
	case minio.NotImplemented:
		t.says = fmt.Sprintf("%s cannot %s: it does not have that feature (%s)", c.named(), doing, cmp.Or(answer.Message, answer.Code))
	default:
		t.says = fmt.Sprintf("the store %s does not %s: %v", name, doing, err)
	}
	if busy(err) {
		t.says = fmt.Sprintf("the store %s has no time to %s: %s (%s)", name, doing, cmp.Or(answer.Message, answer.Code), cmp.Or(answer.Code, http.StatusText(answer.StatusCode)))
	}
	return t
}

// keyed names what a person can check of a key.
func (c *connection) keyed(key string) string {
	if c.keys.from != "" {
		return fmt.Sprintf("the credentials from %s, or name others as stores.%s.access_key and secret_key", c.keys.from, c.store.Name)
	}
	return fmt.Sprintf("stores.%s.%s%s", c.store.Name, c.keys.prefix, key)
}

// name is that of the access key.
func (k keys) name() string {
	if k.prefix == "" {
		return "access key"
	}
	return k.prefix + "access_key"
}

// told says where keys are from that are not in the spec.
func (c *connection) told() string {
	if c.keys.from == "" {
		return ""
	}
	return "; it is from " + c.keys.from
}

// lacks says that the server has no such thing as a bucket is asked to have.
func (c *connection) lacks(feature string) error {
	return &trouble{says: fmt.Sprintf("%s has no %s: it does not have that feature", c.named(), feature)}
}

// unreached says why a store gave no answer.
func (c *connection) unreached(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the address is said, and the path of the request helps nobody
	}
	if strings.HasPrefix(err.Error(), "Connection closed by foreign host") { // which says the path again
		err = errors.New("it closes the connection")
	}
	name := c.store.Name
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return &trouble{cause: err, says: fmt.Sprintf("the store %s has a certificate that is not trusted: %v; stores.%s.ca_file names the authority", name, untrusted.Err, name)}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &trouble{cause: err, says: fmt.Sprintf("the store %s does not speak TLS: check the endpoint or secure of stores.%s", name, name)}
	case errors.Is(err, errTooLate), errors.Is(err, context.DeadlineExceeded):
		return &trouble{cause: err, passing: true, says: fmt.Sprintf("the store %s at %s does not answer in time", name, c.EndpointURL().Host)}
	}
	advice := ""
	if c.store.Service != "" && c.store.Endpoint == "" {
		advice = fmt.Sprintf("; where containers cannot be reached from here, publish its port or give stores.%s an endpoint", name)
	}
	return &trouble{cause: err, passing: true, says: fmt.Sprintf("the store %s cannot be reached at %s: %v%s", name, c.EndpointURL().Host, err, advice)}
}
