package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// chatsAt are the receivers at an address.
func chatsAt(t *testing.T, address string) (all []notify.Receiver) {
	t.Helper()
	chats, err := notify.NewChats(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chats {
		all = append(all, c)
	}
	return all
}

// mailAt is the address of a mail server, for one recipient or several.
func mailAt(s *mailServer, to string) string {
	return "smtp://lake:hunter22pass@" + s.listener.Addr().String() + "/?from=lake@example.org&to=" + to
}

// bodyOf is the JSON of a message.
func bodyOf(t *testing.T, m notify.Message) []byte {
	t.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const wantText = `lake: failed: service/db

Condition: failed, before: drift
Revision: c0ffee "Raise the limit" by Ada <ada@example.org>
Cause: interval
replace service/db (rolled_back): exited with code 1
    cannot open the data
    bye
changed: service/db`

func TestMailSaysWhatChangedWhyWhoCommittedItAndTheLastLines(t *testing.T) {
	s := serveMail(t, usually)
	n, _ := start(t, nil, chatsAt(t, mailAt(s, "ops@example.org"))...)
	n.Reported(drifted(), kept)
	if got := <-s.letters; !strings.HasPrefix(got.body, "lake: drift: service/db") {
		t.Error(got.body)
	}
	n.Reported(broken(), kept)
	got := <-s.letters
	if diff := cmp.Diff(wantText, strings.TrimSpace(got.body)); diff != "" {
		t.Error(diff)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
	if err != nil || subject != "lake: failed: service/db" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if got.user != "\x00lake\x00hunter22pass" || got.from != "FROM:<lake@example.org>" || !cmp.Equal(got.to, []string{"TO:<ops@example.org>"}) {
		t.Errorf("%q from %s to %q", got.user, got.from, got.to)
	}
}

func TestChatIsPostedTheSameText(t *testing.T) {
	type call struct{ path, body string }
	calls := make(chan call, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- call{r.Method + " " + r.URL.Path, string(body)}
	}))
	t.Cleanup(server.Close)
	n, _ := start(t, nil, chatsAt(t, "mattermost://"+strings.TrimPrefix(server.URL, "http://")+"/T0KEN-of-the-chat?disabletls=yes")...)
	n.Reported(broken(), kept)
	got := <-calls
	var post struct{ Text string }
	if err := json.Unmarshal([]byte(got.body), &post); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(wantText, "Condition: failed, before: drift\n", "", 1)
	if diff := cmp.Diff(want, post.Text); diff != "" || got.path != "POST /hooks/T0KEN-of-the-chat" {
		t.Error(got.path, diff)
	}
}

func TestRecipientWhoIsRefusedCostsTheOthersNothing(t *testing.T) {
	s := serveMail(t, func(line string) string {
		if strings.Contains(line, "gone@example.org") {
			return "550 no such mailbox"
		}
		return ""
	})
	all := chatsAt(t, mailAt(s, "gone@example.org,ops@example.org"))
	if len(all) != 2 || all[0].Key() == all[1].Key() {
		t.Fatalf("%d receivers", len(all))
	}
	body := bodyOf(t, notify.Message{Summary: "a"})
	if err := all[0].Send(t.Context(), body); !errors.Is(err, notify.ErrRefused) {
		t.Error(err)
	}
	if err := all[1].Send(t.Context(), body); err != nil {
		t.Error(err)
	}
}

func TestMailServerThatIsBusyIsTriedAgain(t *testing.T) {
	s := serveMail(t, func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			return "451 come back later"
		}
		return ""
	})
	err := chatsAt(t, mailAt(s, "ops@example.org"))[0].Send(t.Context(), bodyOf(t, notify.Message{}))
	if err == nil || errors.Is(err, notify.ErrRefused) {
		t.Error(err)
	}
}

func TestMailServerThatHangsDelaysNothingAndIsDialledOnce(t *testing.T) {
	var hangs atomic.Bool
	hangs.Store(true)
	s := serveMail(t, func(string) string {
		if hangs.Load() {
			return "hang"
		}
		return ""
	})
	quick := make(chan struct{}, 1)
	r := served(t, "", func(http.ResponseWriter, *http.Request) { quick <- struct{}{} })
	chat := chatsAt(t, mailAt(s, "ops@example.org"))[0]
	n, stop := start(t, nil, chat, r)
	n.Reported(drifted(), kept)
	<-quick
	conn := <-s.dialled
	stop()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := chat.Send(ctx, bodyOf(t, notify.Message{})); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has not ended") {
		t.Error(err)
	}
	if len(s.dialled) > 0 {
		t.Error("the server was dialled again while it hung")
	}
	hangs.Store(false)
	conn.Close()
	if err := chat.Send(t.Context(), bodyOf(t, notify.Message{})); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfChatsDoNotShowAddresses(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	chat := chatsAt(t, "mattermost://"+gone.Addr().String()+"/T0KEN?disabletls=yes")[0]
	_, unreadable := notify.NewChats("slack://T0KEN\x7f")
	_, unknown := notify.NewChats("ftp://host/T0KEN")
	_, nobody := notify.NewChats("smtp://user:T0KEN@host/?from=a@example.org")
	for _, err := range []error{chat.Send(t.Context(), bodyOf(t, notify.Message{})), unreadable, unknown, nobody} {
		if err == nil || strings.Contains(err.Error(), "T0KEN") {
			t.Errorf("%v", err)
		}
	}
	telegram := chatsAt(t, "telegram://123456789:T0KEN-T0KEN-T0KEN-T0KEN-T0KEN-T0KEN@telegram?chats=@ops")[0]
	for _, r := range []notify.Receiver{chat, telegram} {
		if strings.Contains(r.Name()+r.Key(), "T0KEN") {
			t.Error(r.Name(), r.Key())
		}
	}
}

func TestTextIsBoundedAndCallsNobody(t *testing.T) {
	m := notify.Message{Summary: "a", Revision: spec.Revision{ID: "a", Subject: "@everyone <!channel>", Author: "@here"}}
	for range 30 {
		m.Held = append(m.Held, plan.Held{Ref: db, Reason: strings.Repeat("ü", 600)})
		m.Differences = append(m.Differences, drift.Difference{Ref: db, Verdict: drift.Missing})
	}
	text := m.Text()
	if n := utf8.RuneCountInString(text); n > 2000 {
		t.Errorf("%d characters", n)
	}
	for _, call := range []string{"@everyone", "@here", "<!"} {
		if strings.Contains(text, call) {
			t.Errorf("it calls %s: %s", call, text)
		}
	}
}
