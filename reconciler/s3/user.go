package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// The words of MinIO's admin API for what is not there.
const (
	noSuchUser   = "XMinioAdminNoSuchUser"
	noSuchPolicy = "XMinioAdminNoSuchPolicy"
)

// explainAdmin says what went wrong in a call about users, and also that the server has none.
func (c *connection) explainAdmin(doing string, err error) error {
	if errors.Is(err, errNoAdmin) {
		return &trouble{cause: err, says: fmt.Sprintf("%s has no users that can be managed: stores.%s.access needs a MinIO server", c.named(), c.store.Name)}
	}
	return c.explain(doing, err)
}

// userInfo is what MinIO tells of a user.
type userInfo struct {
	PolicyName string // comma-separated
	Status     string // "enabled" or "disabled"
}

// user asks for a user; nil: there is none.
func (c *connection) user(ctx context.Context, name string) (*userInfo, error) {
	text, err := c.admin(ctx, http.MethodGet, "user-info", url.Values{"accessKey": {name}}, nil)
	if codeOf(err) == noSuchUser {
		return nil, nil
	}
	var info userInfo
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		return nil, c.explainAdmin("look at user "+name, err)
	}
	return &info, nil
}

// policies asks for all policies of the server, by name.
func (c *connection) policies(ctx context.Context) (map[string]json.RawMessage, error) {
	text, err := c.admin(ctx, http.MethodGet, "list-canned-policies", nil, nil)
	var all map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	return all, c.explainAdmin("list its policies", err)
}

// setUser makes a user, or gives one that is there another secret, and enables it.
func (c *connection) setUser(ctx context.Context, name, secret string) error {
	as, err := c.GetCreds()
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]string{"secretKey": secret, "status": "enabled"})
	if err != nil {
		return err
	}
	chance := make([]byte, sealChance)
	_, _ = rand.Read(chance) // never fails
	body, err := sealed(as.SecretAccessKey, chance, text)
	if err != nil {
		return err
	}
	_, err = c.admin(ctx, http.MethodPut, "add-user", url.Values{"accessKey": {name}}, body)
	return c.explainAdmin("set user "+name, err)
}

// setPolicy makes or changes a policy of the server.
func (c *connection) setPolicy(ctx context.Context, name, text string) error {
	_, err := c.admin(ctx, http.MethodPut, "add-canned-policy", url.Values{"name": {name}}, []byte(text))
	return c.explainAdmin("set policy "+name, err)
}

// attach gives a user this policy and no other. MinIO may have forgotten for a moment what it
// was just told, while it lists policies or users for somebody else.
func (c *connection) attach(ctx context.Context, user, policy string) error {
	_, err := c.admin(ctx, http.MethodPut, "set-user-or-group-policy",
		url.Values{"policyName": {policy}, "userOrGroup": {user}, "isGroup": {"false"}}, nil)
	explained := c.explainAdmin("set the policy of user "+user, err)
	if t := (*trouble)(nil); errors.As(explained, &t) && (codeOf(err) == noSuchPolicy || codeOf(err) == noSuchUser) {
		t.passing = true
	}
	return explained
}

// removeUser removes a user. That there is none is success.
func (c *connection) removeUser(ctx context.Context, name string) error {
	_, err := c.admin(ctx, http.MethodDelete, "remove-user", url.Values{"accessKey": {name}}, nil)
	if codeOf(err) == noSuchUser {
		return nil
	}
	return c.explainAdmin("remove user "+name, err)
}

// removePolicy removes a policy of the server. That there is none is success.
func (c *connection) removePolicy(ctx context.Context, name string) error {
	_, err := c.admin(ctx, http.MethodDelete, "remove-canned-policy", url.Values{"name": {name}}, nil)
	if codeOf(err) == noSuchPolicy {
		return nil
	}
	return c.explainAdmin("remove policy "+name, err)
}

// opens tells whether a secret is a user's: it asks for something harmless as that user.
func (c *connection) opens(ctx context.Context, user, secret string) (bool, error) {
	as := credentials.Value{AccessKeyID: user, SecretAccessKey: secret}
	_, err := c.signed(ctx, as, http.MethodGet, "/flumen-agent", url.Values{"location": {""}}, nil)
	switch codeOf(err) {
	case minio.AccessDenied, minio.NoSuchBucket: // the signature was right
		return true, nil
	case "SignatureDoesNotMatch":
		return false, nil
	}
	return err == nil, c.explainAdmin("answer user "+user, err)
}
