package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"
)

const mail = "smtp"

// servers are the kinds of chat of which an address names a server. Of the others its host is
// a part of the secret, or always the same.
var servers = []string{mail, "gotify", "matrix", "mattermost", "ntfy", "rocketchat", "zulip"}

// Chat is a receiver that is told in words: a chat, or somebody's mail.
type Chat struct {
	kind, host, key string
	mail            bool
	subject         bool // the address has one
	service         types.Service
	// busy is held by an attempt for as long as the library goes on with it, which no
	// context ends.
	busy chan struct{}
}

var _ Receiver = (*Chat)(nil)

// IsChat tells whether an address is one of a chat or of mail, by its scheme.
func IsChat(address string) bool {
	kind, _, ok := strings.Cut(address, "://")
	return ok && kind != "http" && kind != "https"
}

// NewChats gives the receivers at an address of shoutrrr, as in slack://… and smtp://…. Each
// recipient of mail is one by itself, so that who has had a message does not get it again
// because of somebody else.
func NewChats(address string) (all []*Chat, err error) {
	u, err := url.Parse(address)
	if err != nil { // its text would quote the address
		return nil, errors.New("--notify: an address cannot be read: write it as shoutrrr has it, as in slack://… or smtp://…")
	}
	for _, one := range apart(u) {
		c, err := newChat(one)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func newChat(u *url.URL) (*Chat, error) {
	kind, _, custom := strings.Cut(u.Scheme, "+")
	c := &Chat{kind: kind, host: u.Host, key: keyOf(u), mail: kind == mail, busy: make(chan struct{}, 1)}
	var r router.ServiceRouter
	var err error
	if c.service, err = r.NewService(kind); err != nil {
		return nil, fmt.Errorf("--notify: an address of scheme %q: write https://HOST/PATH for JSON, or an address of shoutrrr as in slack://… or smtp://…", u.Scheme)
	}
	if custom {
		c.service, err = r.Locate(u.String())
	} else {
		err = c.service.Initialize(u, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("--notify: the address of %s cannot be used: %w", kind, final(err))
	}
	c.subject = hasAny(u.Query(), "subject", "title")
	return c, nil
}

// recipients are the names of the parameter that says who gets mail.
var recipients = []string{"to", "toaddresses"}

// apart gives an address for each recipient of mail.
func apart(u *url.URL) []*url.URL {
	query := u.Query()
	if u.Scheme != mail || !hasAny(query, recipients...) {
		return []*url.URL{u}
	}
	var to []string
	for key, values := range query {
		if slices.Contains(recipients, strings.ToLower(key)) {
			for address := range strings.SplitSeq(strings.Join(values, ","), ",") {
				if address = strings.TrimSpace(address); address != "" && !slices.Contains(to, address) {
					to = append(to, address)
				}
			}
			delete(query, key)
		}
	}
	var all []*url.URL
	for _, address := range to {
		one := *u
		query.Set("to", address)
		one.RawQuery = query.Encode()
		all = append(all, &one)
	}
	return all
}

func hasAny(query url.Values, names ...string) bool {
	for key := range query {
		if slices.Contains(names, strings.ToLower(key)) {
			return true
		}
	}
	return false
}

// keyOf is a digest of a whole address.
func keyOf(u *url.URL) string {
	sum := sha256.Sum256([]byte(u.String()))
	return hex.EncodeToString(sum[:8])
}

// Name is the kind of chat, and the server where the address names one.
func (c *Chat) Name() string {
	if slices.Contains(servers, c.kind) {
		return c.kind + "://" + c.host
	}
	return c.kind
}

// Key is a digest of the whole address.
func (c *Chat) Key() string { return c.key }

// Send says a message in words. The library knows neither contexts nor, with mail, an end of
// waiting: an attempt that has not ended keeps the next one from beginning, so that of a server
// that hangs there is one at most.
func (c *Chat) Send(ctx context.Context, body []byte) error {
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("%w: the message cannot be read", ErrRefused)
	}
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("an earlier attempt has not ended: %w", ctx.Err())
	}
	result := make(chan error, 1)
	go func() {
		result <- c.say(m)
		<-c.busy
	}()
	select {
	case err := <-result:
		return final(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// say sends a message. Mail is plain text whatever the address says: logs may have marks of HTML in them.
func (c *Chat) say(m Message) error {
	if !c.mail {
		return c.service.Send(m.Text(), nil)
	}
	params := types.Params{"usehtml": "no"}
	if !c.subject {
		params["subject"] = mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(m.Summary), " "))
	}
	return c.service.Send(m.Text(), &params)
}

// final marks what no other attempt makes better, and takes addresses out of errors.
func final(err error) error {
	if err == nil {
		return nil
	}
	said := errors.New(urls.ReplaceAllString(err.Error(), "its address"))
	var mail *textproto.Error
	var chat jsonclient.Error
	if errors.As(err, &mail) && mail.Code >= 500 || errors.As(err, &chat) && chat.StatusCode >= 300 && !mayBecomeBetter(chat.StatusCode) {
		return fmt.Errorf("%w: %w", ErrRefused, said)
	}
	return said
}

// urls are addresses in a text.
var urls = regexp.MustCompile(`[a-z]+://[^\s"']+`)

// mayBecomeBetter tells of an answer's code whether it is of use to come again.
func mayBecomeBetter(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500
}
