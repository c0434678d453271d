package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/spec"
)

// roleTimeout bounds one question for the role of a machine: where there is nobody to answer
// it, packets are often just lost.
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
	// Asking does not go through the proxies of the stores: such addresses are this machine's.
	client := &http.Client{Timeout: roleTimeout, Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: roleTimeout}).DialContext, DisableKeepAlives: true}}
	if _, err := m.credentials.GetWithContext(&credentials.CredContext{Client: client, Context: ctx}); err != nil {
		return "", err
	}
	return m.chain.current.from, nil
}

// link is one place where credentials may be.
type link struct {
	credentials.Provider
	from string
}

func machineLinks() []link {
	profile := cmp.Or(os.Getenv("AWS_PROFILE"), "default")
	return []link{
		{&credentials.EnvAWS{}, "the environment (AWS_ACCESS_KEY_ID)"},
		{&credentials.FileAWSCredentials{}, "the AWS profile " + profile},
		{&credentials.IAM{}, "the role of this machine"},
	}
}

// chain asks one link after the other, and remembers which one knew.
type chain struct {
	links   []link
	current *link // nil: none did
}

// RetrieveWithCredContext implements credentials.Provider.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var tried []string
	c.current = nil
	for i := range c.links {
		value, err := c.links[i].RetrieveWithCredContext(cc)
		if err == nil && value.AccessKeyID != "" && value.SecretAccessKey != "" {
			c.current = &c.links[i]
			return value, nil
		}
		tried = append(tried, "not from "+c.links[i].from)
	}
	return credentials.Value{}, errors.New("this machine has no AWS credentials (" + strings.Join(tried, ", ") + ")")
}

// Retrieve implements credentials.Provider.
func (c *chain) Retrieve() (credentials.Value, error) { return c.RetrieveWithCredContext(nil) }

// IsExpired implements credentials.Provider.
func (c *chain) IsExpired() bool { return c.current == nil || c.current.IsExpired() }
