package compose

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// securityOptions are those of a service, with the seccomp profile that a file holds in
// the place of its name: that is how the engine takes it.
func (c *conversion) securityOptions(s types.ServiceConfig) []string {
	var all []string
	for _, option := range s.SecurityOpt {
		all = append(all, c.securityOption(s.Name, option))
	}
	return all
}

func (c *conversion) securityOption(service, option string) string {
	name, file, ok := strings.Cut(option, "=")
	if !ok {
		name, file, _ = strings.Cut(option, ":")
	}
	switch {
	case name != "seccomp", file == "unconfined", file == "builtin", strings.HasPrefix(file, "{"):
		return option
	}
	at := c.item(service, "security_opt", option)
	path := abs(c.dir, file)
	if c.outside(path, at, "seccomp profile") {
		return option
	}
	c.Files = append(c.Files, path)
	text, err := os.ReadFile(path)
	if err != nil {
		c.fault(at, "name a file that holds a seccomp profile, or unconfined", "seccomp profile %s cannot be read: %v", c.shown(path), reason(err))
		return option
	}
	var profile bytes.Buffer
	if err := json.Compact(&profile, text); err != nil {
		c.fault(at, "", "seccomp profile %s is not JSON: %v", c.shown(path), err)
		return option
	}
	return "seccomp=" + profile.String()
}
