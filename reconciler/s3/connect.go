package s3

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// dialTimeout is how long one address has to take a connection: of several the last may
	// be the one that leads there.
	dialTimeout = 3 * time.Second
	// defaultRegion is that of a store that names none, as in the AWS SDKs and MinIO.
	defaultRegion = "us-east-1"
	// atOnce bounds the requests to one store side by side.
	atOnce = 8
)

// errNotRunning says that the service that serves a store does not run.
var errNotRunning = errors.New("the service that serves it does not run")

// connection is a way to one store, on behalf of a project.
type connection struct {
	*minio.Client
	store   *spec.Store
	project string
	keys    keys
	close   func()
	heard   *hearing
}

// connect finds a store. It sends it nothing.
func (t *Target) connect(ctx context.Context, project string, s *spec.Store) (*connection, error) {
	return t.connectBy(ctx, project, s, func(r http.RoundTripper) http.RoundTripper { return timely{r, patienceWith(s)} })
}

// connectBy finds a store whose requests are sent by what send makes of the usual way.
func (t *Target) connectBy(ctx context.Context, project string, s *spec.Store, send func(http.RoundTripper) http.RoundTripper) (*connection, error) {
	var addresses []string
	endpoint, lookup := s.Endpoint, minio.BucketLookupAuto
	if s.Service != "" {
		lookup = minio.BucketLookupPath
	}
	if endpoint == "" {
		var err error
		addresses, err = t.locate(ctx, project, s.Service, s.Port)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the store %s: %w", s.Name, err)
		case len(addresses) == 0:
			return nil, errNotRunning
		}
		endpoint = addresses[0]
	}
	keys, err := t.keysOf(ctx, s)
	if err != nil {
		return nil, err
	}
	transport := t.wayTo(s, addresses)
	// Where one connection leads nowhere any more, those that were opened with it do not either.
	heard := &hearing{RoundTripper: send(transport), failed: transport.CloseIdleConnections}
	client, err := minio.New(endpoint, &minio.Options{
		Creds: keys.Credentials, Secure: s.Secure, Region: cmp.Or(s.Region, defaultRegion), BucketLookup: lookup,
		Transport:  heard,
		MaxRetries: 1, // what is worth waiting for is waited for in the open
	})
	if err != nil {
		return nil, err
	}
	return &connection{client, s, project, keys, func() { t.leave(s, transport) }, heard}, nil
}

// authorities are the certificates that a store is known by; nil: those of the machine.
func authorities(s *spec.Store) *x509.CertPool {
	if s.CA == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(s.CA))
	return pool
}

// dialFirst connects to the first of the addresses that takes the connection, whichever is
// asked for.
func dialFirst(addresses []string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: dialTimeout}
		var first error
		for _, address := range addresses {
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				return conn, nil
			}
			first = cmp.Or(first, err)
		}
		return nil, first
	}
}
