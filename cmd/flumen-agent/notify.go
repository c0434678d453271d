package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
)

// likeToken is how long a part of an address is that may be a token: it is masked in all
// that the agent says.
const likeToken = 16

// notifySettings are the flags of run about notifications.
type notifySettings struct {
	addresses        []string
	file, secretFile string
}

// given tells whether any flag was.
func (n notifySettings) given() bool {
	return len(n.addresses) > 0 || n.file != "" || n.secretFile != ""
}

// notifier is what tells the receivers of --notify, or nil where none is named.
func (a *app) notifier(s notifySettings, log *slog.Logger) (*notify.Notifier, error) {
	addresses := s.addresses
	if s.file != "" {
		b, err := os.ReadFile(s.file)
		if err != nil {
			return nil, fmt.Errorf("--notify-file: %w", err)
		}
		addresses = append(addresses[:len(addresses):len(addresses)], strings.Fields(string(b))...)
	}
	secret := a.environ["FLUMEN_NOTIFY_SECRET"]
	if s.secretFile != "" {
		b, err := os.ReadFile(s.secretFile)
		if err != nil {
			return nil, fmt.Errorf("the secret of --notify: %w", err)
		}
		if secret = strings.TrimSpace(string(b)); secret == "" {
			return nil, fmt.Errorf("the secret of --notify: %s is empty", s.secretFile)
		}
	}
	a.hide(secret)
	if len(addresses) == 0 {
		if s.given() {
			return nil, fmt.Errorf("--notify-file and --notify-secret-file need an address: give --notify URL, or write it into the file")
		}
		return nil, nil
	}
	var receivers []notify.Receiver
	for _, address := range addresses {
		a.hide(tokensOf(address)...)
		more, err := receiversAt(address, secret)
		if err != nil {
			return nil, err
		}
		receivers = append(receivers, more...)
	}
	return notify.New(receivers, a.hideInJSON, log), nil
}

// receiversAt are those at one address.
func receiversAt(address, secret string) (all []notify.Receiver, err error) {
	if !notify.IsChat(address) {
		one, err := notify.NewHTTP(address, secret)
		return []notify.Receiver{one}, err
	}
	chats, err := notify.NewChats(address)
	for _, one := range chats {
		all = append(all, one)
	}
	return all, err
}

// tokensOf gives what may be secret of an address: chat services have a token in the path, and
// those of shoutrrr also where others have a user or a host.
func tokensOf(address string) (tokens []string) {
	u, err := url.Parse(address)
	if err != nil {
		return []string{address}
	}
	if notify.IsChat(address) {
		for _, part := range []string{u.User.Username(), u.Hostname()} {
			if len(part) >= likeToken && !strings.ContainsAny(part, ".@") {
				tokens = append(tokens, part)
			}
		}
	}
	if password, ok := u.User.Password(); ok {
		tokens = append(tokens, password)
	}
	parts := strings.Split(u.Path, "/")
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	for _, part := range parts {
		if len(part) >= likeToken {
			tokens = append(tokens, part)
		}
	}
	return tokens
}

// tellOthers has a notifier told of an agent's runs, while the agent is the one that changes
// the project: another one that only looks would say everything twice.
func (a *app) tellOthers(agent *reconciler.Agent, n *notify.Notifier) {
	if n == nil {
		return
	}
	reported, memory := agent.Reported, agent.Memory
	agent.Reported = func(rep report.Report) {
		if s, _, ok := agent.Standing(); ok && a.holding.Load() {
			n.Reported(rep, keptAs(s, time.Now(), lookedBound))
		}
		reported(rep)
	}
	agent.Memory = func(ctx context.Context, project string) (*state.Store, error) {
		m, err := memory(ctx, project)
		if err == nil {
			n.Know(ctx, m)
		}
		return m, err
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, _ func(string)) { n.Run(ctx) })
}
