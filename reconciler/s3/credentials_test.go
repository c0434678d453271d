package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// TestStoreWithoutKeysIsKnownByThoseOfTheMachine has one place after the other where there
// are some.
func TestStoreWithoutKeysIsKnownByThoseOfTheMachine(t *testing.T) {
	without := func(t *testing.T) {
		home := t.TempDir()
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
			t.Setenv(name, "")
		}
		t.Setenv("HOME", home)
	}
	for name, c := range map[string]struct {
		prepare   func(*testing.T)
		key, from string
	}{
		"environment": {func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", "from-env")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "canary-password")
		}, "from-env", "the environment (AWS_ACCESS_KEY_ID)"},
		"profile": {func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "credentials")
			if err := os.WriteFile(file, []byte("[lake]\naws_access_key_id = from-file\naws_secret_access_key = canary-password\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
			t.Setenv("AWS_PROFILE", "lake")
		}, "from-file", "the AWS profile lake"},
		"role": {func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roleOf(t, new(atomic.Int32)))
		}, "from-role", "the role of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			without(t)
			c.prepare(t)
			target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Authorization"), "Credential="+c.key+"/") {
					t.Errorf("it says %q", r.Header.Get("Authorization"))
				}
				refuse(rw, http.StatusForbidden, "InvalidAccessKeyId", "unknown")
			})
			bucket.Store.AccessKey, bucket.Store.SecretKey = spec.Value{}, spec.Value{}
			have, err := target.Observe(t.Context(), wanting(bucket))
			if reason := have.Blind[bucket.Ref()]; err != nil || !strings.Contains(reason, "check the credentials from "+c.from) {
				t.Errorf("%q %v", reason, err)
			}
		})
	}
}

func TestRoleOfTheMachineIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roleOf(t, &asked))
	target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		refuse(rw, http.StatusNotFound, "NoSuchBucket", "")
	})
	bucket.Store.AccessKey, bucket.Store.SecretKey = spec.Value{}, spec.Value{}
	for range 3 {
		if _, err := target.Observe(t.Context(), wanting(bucket)); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestMachineWithoutCredentialsSaysSoSoon(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", hanging.URL)
	target, bucket := facing(t, func(http.ResponseWriter, *http.Request) { t.Error("the store was asked") })
	bucket.Store.AccessKey, bucket.Store.SecretKey = spec.Value{}, spec.Value{}
	began := time.Now()
	have, err := target.Observe(t.Context(), wanting(bucket))
	reason := have.Blind[bucket.Ref()]
	if err != nil || !strings.Contains(reason, "this machine has no AWS credentials (not from the environment") || !strings.Contains(reason, "stores.s.access_key and secret_key name them") {
		t.Errorf("%q %v", reason, err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

// roleOf answers for the role of a container, and gives the address.
func roleOf(t *testing.T, asked *atomic.Int32) string {
	role := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprintf(rw, `{"Code":"Success","AccessKeyId":"from-role","SecretAccessKey":"canary-password","Token":"t","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(role.Close)
	return role.URL
}
