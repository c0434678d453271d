package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

// someKeys are what a place gives. Where the token is "" they are for good.
var someKeys = credentials.Value{AccessKeyID: "from-there", SecretAccessKey: "canary-password", SessionToken: "canary-token"}

// place is one in which this machine has credentials.
type place struct {
	// prepare has it give these.
	prepare func(t *testing.T, keys credentials.Value)
	from    string
}

var places = map[string]place{
	"environment": {func(t *testing.T, keys credentials.Value) {
		t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKeyID)
		t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey)
		t.Setenv("AWS_SESSION_TOKEN", keys.SessionToken)
	}, "the environment (AWS_ACCESS_KEY_ID)"},
	"profile": {func(t *testing.T, keys credentials.Value) {
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", written(t, profileOf("lake", keys)))
		t.Setenv("AWS_PROFILE", "lake")
	}, "the AWS profile lake"},
	"profile of the home": {func(t *testing.T, keys credentials.Value) {
		file := filepath.Join(os.Getenv("HOME"), ".aws", "config")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(profileOf("default", keys)), 0o600); err != nil {
			t.Fatal(err)
		}
	}, "the AWS profile default"},
	"process of a profile": {func(t *testing.T, keys credentials.Value) {
		told, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": keys.AccessKeyID, "SecretAccessKey": keys.SecretAccessKey, "SessionToken": keys.SessionToken, "Expiration": inAnHour()})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONFIG_FILE", written(t, "[profile lake]\ncredential_process = cat "+written(t, string(told))+"\n"))
		t.Setenv("AWS_PROFILE", "lake")
	}, "the AWS profile lake"},
	"web identity": {func(t *testing.T, keys credentials.Value) {
		sts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "canary-identity" || r.FormValue("RoleArn") != "arn:aws:iam::1:role/lake" {
				t.Errorf("it was asked %v", r.Form)
			}
			fmt.Fprintf(rw, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
				keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken, inAnHour())
		}))
		t.Cleanup(sts.Close)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", written(t, "canary-identity"))
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/lake")
		t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", written(t, profileOf("default", credentials.Value{AccessKeyID: "not-these", SecretAccessKey: "x"})))
	}, "the web identity in "},
	"container": {func(t *testing.T, keys credentials.Value) {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roleOf(t, keys, func(r *http.Request) {
			if r.Header.Get("Authorization") != "canary-container" {
				t.Errorf("it was asked by %v", r.Header)
			}
		}).URL)
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-container")
	}, "the role of this container"},
	"container with a token in a file": {func(t *testing.T, keys credentials.Value) {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roleOf(t, keys, func(r *http.Request) {
			if r.Header.Get("Authorization") != "canary-container" {
				t.Errorf("it was asked by %v", r.Header)
			}
		}).URL)
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", written(t, "canary-container"))
	}, "the role of this container"},
}

// TestStoreWithoutKeysIsKnownByThoseOfTheMachine has one place after the other where there
// are some.
func TestStoreWithoutKeysIsKnownByThoseOfTheMachine(t *testing.T) {
	for name, p := range places {
		t.Run(name, func(t *testing.T) {
			withoutCredentials(t)
			p.prepare(t, someKeys)
			target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Authorization"), "Credential=from-there/") || r.Header.Get("X-Amz-Security-Token") != "canary-token" {
					t.Errorf("it says %v", r.Header)
				}
				refuse(rw, http.StatusForbidden, "InvalidAccessKeyId", "unknown")
			})
			if reason := blindness(t, target, bucket); !strings.Contains(reason, "check the credentials from "+p.from) || strings.Contains(reason, "canary") {
				t.Errorf("%q", reason)
			}
		})
	}
}

// TestContainerIsAskedAtItsOwnAddress has a container name only a path.
func TestContainerIsAskedAtItsOwnAddress(t *testing.T) {
	withoutCredentials(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/role/lake")
	role := roleOf(t, someKeys, func(r *http.Request) {
		if r.Host+r.URL.Path != "169.254.170.2/role/lake" {
			t.Errorf("it was asked at %s%s", r.Host, r.URL.Path)
		}
	})
	target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		refuse(rw, http.StatusForbidden, "ExpiredToken", "")
	})
	links := machineLinks()
	last := links[len(links)-1]
	last.ask.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, role.Listener.Addr().String())
	}
	target.machine.chain = &chain{links: links}
	target.machine.credentials = credentials.New(target.machine.chain)
	const says = "the store s does not take the session token, or not any more: check the credentials from the role of this container"
	if reason := blindness(t, target, bucket); !strings.Contains(reason, says) {
		t.Errorf("%q", reason)
	}
}

// TestPlaceThatIsMeantIsNotPassedOver holds that a place which this machine names and that gives
// no keys is said with the reason, and that others do not count instead.
func TestPlaceThatIsMeantIsNotPassedOver(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*testing.T)
		says    []string
	}{
		"web identity": {func(t *testing.T) {
			sts := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(rw, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>`)
			}))
			t.Cleanup(sts.Close)
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", written(t, "canary-identity"))
			t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
		}, []string{"the web identity in ", "Token expired"}},
		"web identity without its file": {func(t *testing.T) {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(t.TempDir(), "none"))
		}, []string{"the web identity in ", "no such file"}},
		"profile that is not there": {func(t *testing.T) { t.Setenv("AWS_PROFILE", "lake") }, []string{"the AWS profile lake gives no AWS credentials", "lake"}},
		"profile of a role": {func(t *testing.T) {
			t.Setenv("AWS_CONFIG_FILE", written(t, "[profile lake]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = default\n"))
			t.Setenv("AWS_PROFILE", "lake")
		}, []string{"the AWS profile lake gives no AWS credentials", "role_arn is not supported"}},
		"container somewhere else": {func(t *testing.T) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/role")
		}, []string{"the role of this container gives no AWS credentials", "not a loopback address: http://192.0.2.1/role"}},
	} {
		t.Run(name, func(t *testing.T) {
			withoutCredentials(t)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", written(t, profileOf("default", someKeys)))
			c.prepare(t)
			target, bucket := facing(t, func(http.ResponseWriter, *http.Request) { t.Error("the store was asked") })
			reason := blindness(t, target, bucket)
			for _, says := range append(c.says, "stores.s.access_key and secret_key name them") {
				if !strings.Contains(reason, says) {
					t.Errorf("%q, want %q", reason, says)
				}
			}
			if strings.Contains(reason, "canary") {
				t.Errorf("it shows a secret: %q", reason)
			}
		})
	}
}

// TestRealStoreTakesASessionToken has MinIO give keys that end, and each place give those.
func TestRealStoreTakesASessionToken(t *testing.T) {
	w := newWorld(t, enginetest.MinIO(t))
	withoutCredentials(t)
	a, b := w.user(strings.ReplaceAll(writes, "lake/*", "*")), w.bucket()
	w.byHand(b, nil)
	w.ok(w.admin().grant(w.Context(), a, nil))
	role, err := credentials.NewSTSAssumeRole("http://"+w.store.Endpoint, credentials.STSAssumeRoleOptions{AccessKey: a.User, SecretKey: a.Secret.Reveal(), DurationSeconds: 900})
	w.ok(err)
	keys, err := role.GetWithContext(nil)
	w.ok(err)
	if keys.SessionToken == "" {
		t.Fatal("there is no session token")
	}
	w.store.AccessKey, w.store.SecretKey = spec.Value{}, spec.Value{}
	for name, p := range places {
		t.Run(name, func(t *testing.T) {
			p.prepare(t, keys)
			target, want := New(nil), w.desired(b)
			have, err := target.Observe(t.Context(), want)
			if d := drift.Compare(want, have); err != nil || !d.InSync() {
				t.Errorf("%+v %v", d, err)
			}
		})
	}
	t.Run("wrong", func(t *testing.T) {
		wrong := keys
		wrong.SessionToken = "canary-token"
		places["environment"].prepare(t, wrong)
		if reason := blindness(t, New(nil), b); !strings.Contains(reason, "the store minio does not take the session token") || strings.Contains(reason, "canary") {
			t.Errorf("%q", reason)
		}
	})
}

func TestRoleOfTheMachineIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	withoutCredentials(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roleOf(t, someKeys, func(*http.Request) { asked.Add(1) }).URL)
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

// TestNoStoreIsAskedForCredentials has keys end while a client of a store holds them: it asks
// for new ones by its own way, which leads to the store.
func TestNoStoreIsAskedForCredentials(t *testing.T) {
	withoutCredentials(t)
	places["container"].prepare(t, someKeys)
	store := &http.Client{Transport: astray{t}}
	value, err := (&chain{links: machineLinks()}).RetrieveWithCredContext(&credentials.CredContext{Client: store, Endpoint: "http://192.0.2.1", Context: t.Context()})
	if err != nil || value.AccessKeyID != someKeys.AccessKeyID {
		t.Errorf("%v %v", value.AccessKeyID, err)
	}
}

// astray is no way to anything.
type astray struct{ *testing.T }

// RoundTrip implements http.RoundTripper.
func (a astray) RoundTrip(r *http.Request) (*http.Response, error) {
	a.Errorf("%s was asked", r.URL)
	return nil, http.ErrServerClosed
}

func TestMachineWithoutCredentialsSaysSoSoon(t *testing.T) {
	withoutCredentials(t)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()
	target, bucket := facing(t, func(http.ResponseWriter, *http.Request) { t.Error("the store was asked") })
	links := machineLinks()
	last := links[len(links)-1]
	last.ask.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, hanging.Listener.Addr().String())
	}
	target.machine.chain = &chain{links: links}
	target.machine.credentials = credentials.New(target.machine.chain)
	began := time.Now()
	reason := blindness(t, target, bucket)
	if !strings.Contains(reason, "this machine has no AWS credentials (not from the environment") || !strings.Contains(reason, "stores.s.access_key and secret_key name them") {
		t.Errorf("%q", reason)
	}
	if took := time.Since(began); took > 10*roleTimeout {
		t.Errorf("took %s", took)
	}
}

// withoutCredentials is a machine that has none.
func withoutCredentials(t *testing.T) {
	for _, name := range os.Environ() {
		if name, _, _ := strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
}

// blindness is why a bucket of a store that has no keys in the spec could not be looked at.
func blindness(t *testing.T, target *Target, b *spec.Bucket) string {
	t.Helper()
	b.Store.AccessKey, b.Store.SecretKey = spec.Value{}, spec.Value{}
	have, err := target.Observe(t.Context(), wanting(b))
	if err != nil || have.Blind[b.Ref()] == "" {
		t.Fatalf("%+v %v", have, err)
	}
	return have.Blind[b.Ref()]
}

func profileOf(name string, keys credentials.Value) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n", name, keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken)
}

// written gives a file with this text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func inAnHour() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

// roleOf answers for the role of a container.
func roleOf(t *testing.T, keys credentials.Value, asked func(*http.Request)) *httptest.Server {
	role := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked(r)
		fmt.Fprintf(rw, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q,"Expiration":%q}`, keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken, inAnHour())
	}))
	t.Cleanup(role.Close)
	return role
}
