package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ErrRefused is in the error of a status that the forge will not take however often it is tried.
var ErrRefused = errors.New("refused")

// mostDescription is how long a description is at most, in characters, at the forge that takes
// the least: GitHub.
const mostDescription = 140

// Client says statuses at one project of a forge.
type Client struct {
	project Project
	token   string
	client  *http.Client
}

// NewClient gives the client of a project, which comes with a token.
func NewClient(p Project, token string) *Client {
	return &Client{p, token, &http.Client{
		// Followed, the token could be led to anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Name is the project, for people.
func (c *Client) Name() string { return c.project.Base.Host + "/" + c.project.Path }

// Say tells the forge the state of a commit, under a name that is that of its context.
func (c *Client) Say(ctx context.Context, s Status, name string) error {
	body, err := json.Marshal(c.body(s, name))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address(s.Commit), bytes.NewReader(body))
	if err != nil {
		return errors.New("the request cannot be made")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "flumen-agent")
	c.authorise(r.Header)
	answer, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // what is missing of it is missing in an error
	return c.judge(answer, string(text))
}

// address is that of the statuses of a commit.
func (c *Client) address(commit string) string {
	base, path := c.project.Base.String(), c.project.Path
	switch c.project.Kind {
	case GitHub:
		if c.project.Base.Host == "github.com" {
			return "https://api.github.com/repos/" + path + "/statuses/" + commit
		}
		return base + "/api/v3/repos/" + path + "/statuses/" + commit
	case GitLab:
		return base + "/api/v4/projects/" + url.PathEscape(path) + "/statuses/" + commit
	default:
		return base + "/api/v1/repos/" + path + "/statuses/" + commit
	}
}

func (c *Client) authorise(h http.Header) {
	switch c.project.Kind {
	case GitHub:
		h.Set("Accept", "application/vnd.github+json")
		h.Set("X-GitHub-Api-Version", "2022-11-28")
		h.Set("Authorization", "Bearer "+c.token)
	case GitLab:
		h.Set("PRIVATE-TOKEN", c.token)
	default:
		h.Set("Authorization", "token "+c.token)
	}
}

// gitlabStates are GitLab's words.
var gitlabStates = map[State]string{Pending: "pending", Success: "success", Failure: "failed", Error: "canceled"}

func (c *Client) body(s Status, name string) map[string]string {
	description := s.Description
	if runes := []rune(description); len(runes) > mostDescription {
		description = string(runes[:mostDescription-1]) + "…"
	}
	if c.project.Kind == GitLab {
		return map[string]string{"state": gitlabStates[s.State], "name": name, "description": description}
	}
	return map[string]string{"state": string(s.State), "context": name, "description": description}
}

// judge says what an answer means. GitLab refuses a state that it has already.
func (c *Client) judge(answer *http.Response, text string) error {
	code := answer.StatusCode
	said := fmt.Errorf("it answered %s", strings.ToLower(answer.Status))
	switch {
	case code < 300:
		return nil
	case c.project.Kind == GitLab && code == http.StatusBadRequest && strings.Contains(text, "Cannot transition status"):
		return nil
	case limited(answer):
		return said
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusNotFound:
		return fmt.Errorf("%w: %w: is the token one that may write commit statuses of %s?", ErrRefused, said, c.Name())
	}
	return fmt.Errorf("%w: %w", ErrRefused, said)
}

// limited tells whether it is of use to come again later. GitHub says by 403 that somebody
// asks too often.
func limited(answer *http.Response) bool {
	code := answer.StatusCode
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500 ||
		code == http.StatusForbidden && (answer.Header.Get("Retry-After") != "" || answer.Header.Get("X-RateLimit-Remaining") == "0")
}
