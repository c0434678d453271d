package forge

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Kind is whose API a forge has.
type Kind string

// The kinds. Forgejo has that of Gitea.
const (
	GitHub Kind = "github"
	GitLab Kind = "gitlab"
	Gitea  Kind = "gitea"
)

// hosts are those whose kind everybody knows.
var hosts = map[string]Kind{"github.com": GitHub, "gitlab.com": GitLab, "gitea.com": Gitea, "codeberg.org": Gitea}

// names are parts of a host's name from which its kind is told.
var names = []struct {
	part string
	kind Kind
}{{"github", GitHub}, {"gitlab", GitLab}, {"gitea", Gitea}, {"forgejo", Gitea}}

// ParseKind reads github, gitlab, gitea or forgejo.
func ParseKind(text string) (Kind, error) {
	switch kind := Kind(text); kind {
	case GitHub, GitLab, Gitea:
		return kind, nil
	case "forgejo":
		return Gitea, nil
	}
	return "", fmt.Errorf("--forge %q: write github, gitlab, gitea or forgejo", text)
}

// Project is a repository at a forge.
type Project struct {
	Kind Kind
	Base *url.URL // where the forge's pages are, without a slash at the end
	Path string   // as in team/lakehouse, without .git
}

// Find completes what is known of a project by the address of its repository.
func Find(repository string, p Project) (Project, error) {
	if p.Base == nil || p.Path == "" {
		host, path, err := split(repository)
		if err != nil {
			return Project{}, err
		}
		if p.Base == nil {
			p.Base = &url.URL{Scheme: "https", Host: host}
		}
		if p.Path == "" {
			p.Path = strings.TrimPrefix(path, strings.TrimPrefix(p.Base.Path, "/")+"/") // it is below a path of its host
		}
	}
	if p.Kind == "" {
		p.Kind = kindOf(p.Base.Hostname())
	}
	switch parts := strings.Split(p.Path, "/"); {
	case p.Kind == "":
		return Project{}, fmt.Errorf("nobody knows which forge %s is: say it with --forge github, gitlab, gitea or forgejo", p.Base.Host)
	case len(parts) < 2 || p.Kind != GitLab && len(parts) != 2 || slices.Contains(parts, ""):
		return Project{}, fmt.Errorf("%q is no project of a forge: a commit status needs OWNER/NAME; a forge below a path of its host needs --forge-url", p.Path)
	}
	return p, nil
}

func kindOf(host string) Kind {
	if kind, ok := hosts[host]; ok {
		return kind
	}
	for _, n := range names {
		if strings.Contains(host, n.part) {
			return n.kind
		}
	}
	return ""
}

// split gives the host and the path of a repository's address. Of SSH its port is left out: it
// is not that of the API.
func split(repository string) (host, path string, err error) {
	trim := func(path string) string { return strings.TrimSuffix(strings.Trim(path, "/"), ".git") }
	if !strings.Contains(repository, "://") {
		host, path, ok := strings.Cut(repository, ":")
		if _, after, user := strings.Cut(host, "@"); user {
			host = after
		}
		if !ok || host == "" || strings.Contains(host, "/") {
			return "", "", errors.New("a commit status needs a repository at a forge: https://…, ssh://… or user@host:path")
		}
		return host, trim(path), nil
	}
	u, err := url.Parse(repository)
	switch {
	case err != nil || u.Host == "":
		return "", "", errors.New("a commit status needs a repository at a forge: https://…, ssh://… or user@host:path")
	case u.Scheme == "https" || u.Scheme == "http":
		return u.Host, trim(u.Path), nil
	}
	return u.Hostname(), trim(u.Path), nil
}

// ParseBase reads the address of a forge.
func ParseBase(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("--forge-url: write the address of the forge's pages, as in https://git.example.com")
	}
	return u, nil
}
