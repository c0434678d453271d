package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/spec"
)

// roleTimeout bounds the questions for the role of a machine or container: where there is nobody
// to answer them, packets are often just lost.
const roleTimeout = time.Second

// keys are what a store knows us by, and who told us.
type keys struct {
	*credentials.Credentials
	from string // as in "the environment"; "" for those in the spec
	// prefix is that of their names in the spec: "", or "delete_".
	prefix string
}

// keysOf gives those of a store. Where the spec has none, the AWS credentials of this machine
// count, in the order of AWS's own tools. They are asked for once until they expire.
func (t *Target) keysOf(ctx context.Context, s *spec.Store) (keys, error) {
	if !s.AccessKey.IsZero() {
		return keys{Credentials: credentials.NewStaticV4(s.AccessKey.Reveal(), s.SecretKey.Reveal(), "")}, nil
	}
	from, err := t.machine.get(ctx)
	if err != nil {
		return keys{}, fmt.Errorf("the store %s has no keys: %w; stores.%s.access_key and secret_key name them", s.Name, err, s.Name)
	}
	return keys{Credentials: t.machine.credentials, from: from}, nil
}

// machine are the AWS credentials of this machine.
type machine struct {
	mu          sync.Mutex
	chain       *chain
	credentials *credentials.Credentials
}

// get sees to it that there are credentials that have not expired, and tells where they are
// from.
func (m *machine) get(ctx context.Context) (from string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.credentials == nil {
		m.chain = &chain{links: machineLinks()}
		m.credentials = credentials.New(m.chain)
	}
	if _, err := m.credentials.GetWithContext(&credentials.CredContext{Context: ctx}); err != nil {
		return "", err
	}
	return m.chain.current.Load().from, nil
}

// errNoKeys says what a profile lacks.
var errNoKeys = errors.New("it has no aws_access_key_id, no sso_role_name and no credential_process (role_arn is not supported)")

// link is one place where credentials may be.
type link struct {
	credentials.Provider
	from string
	// meant: this machine names the place, so if it gives none, no other place counts instead.
	meant bool
	ask   *http.Client
}

// machineLinks are the places in AWS's order. Profiles that assume a role are not among them.
func machineLinks() []link {
	profile, identity := os.Getenv("AWS_PROFILE"), os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
	far := asker(answerTimeout, http.ProxyFromEnvironment) // a service of AWS
	near := asker(roleTimeout, nil)                        // an address of this machine
	links := []link{{&credentials.EnvAWS{}, "the environment (AWS_ACCESS_KEY_ID)", false, far}}
	if identity != "" {
		sts := &credentials.IAM{Endpoint: os.Getenv("AWS_ENDPOINT_URL_STS"), Region: os.Getenv("AWS_DEFAULT_REGION")}
		links = append(links, link{sts, "the web identity in " + identity, true, far})
	}
	links = append(links, link{&credentials.FileAWSCredentials{}, "the AWS profile " + cmp.Or(profile, "default"), profile != "", far})
	if cmp.Or(os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")) != "" {
		return append(links, link{&credentials.IAM{}, "the role of this container", true, near})
	}
	return append(links, link{&credentials.IAM{}, "the role of this machine", false, near})
}

func asker(timeout time.Duration, proxy func(*http.Request) (*url.URL, error)) *http.Client {
	dial := (&net.Dialer{Timeout: min(timeout, dialTimeout)}).DialContext
	return &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: proxy, DialContext: dial, DisableKeepAlives: true}}
}

// chain asks one link after the other, and remembers which one knew.
type chain struct {
	links   []link
	current atomic.Pointer[link] // nil: none did so far
}

// RetrieveWithCredContext implements credentials.Provider. It does not use the client that it
// is given, for that leads to the store.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var tried []string
	for i, one := range c.links {
		own := &credentials.CredContext{Client: one.ask}
		if cc != nil {
			own.Context = cc.Context
		}
		value, err := one.RetrieveWithCredContext(own)
		if err == nil && value.AccessKeyID != "" && value.SecretAccessKey != "" {
			c.current.Store(&c.links[i])
			return value, nil
		}
		if one.meant {
			return credentials.Value{}, fmt.Errorf("%s gives no AWS credentials: %w", one.from, cmp.Or(err, errNoKeys))
		}
		tried = append(tried, "not from "+one.from)
	}
	return credentials.Value{}, errors.New("this machine has no AWS credentials (" + strings.Join(tried, ", ") + ")")
}

// Retrieve implements credentials.Provider.
func (c *chain) Retrieve() (credentials.Value, error) { return c.RetrieveWithCredContext(nil) }

// IsExpired implements credentials.Provider.
func (c *chain) IsExpired() bool {
	current := c.current.Load()
	return current == nil || current.IsExpired()
}
