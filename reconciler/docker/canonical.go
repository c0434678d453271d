package docker

import (
	"encoding/json"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"
)

// canonical gives one spelling to texts of a field that the engine takes for the same.
// "" means that the field might as well not be there. It tells false for fields that
// have one spelling only.
func canonical(name, text string) (string, bool) {
	switch name {
	case "working_dir":
		return cleanPath(text), true
	case "stop_grace_period":
		return wholeSeconds(text), true
	case "stop_signal":
		return strings.TrimPrefix(strings.ToUpper(text), "SIG"), true
	case "entrypoint", "command":
		return strings.TrimPrefix(text, "[]"), true
	case "cap_add", "cap_drop":
		return canonicalList(text, canonicalCapability), true
	case "security_opt":
		return canonicalList(text, canonicalSecurity), true
	case "pids_limit":
		return strings.TrimPrefix(text, "-1"), true
	case "platform":
		return canonicalPlatform(text), true
	}
	return canonicalByKind(name, text)
}

// canonicalByKind knows the fields that carry a name of their own: "device./dev/fuse".
func canonicalByKind(name, text string) (string, bool) {
	kind, _, _ := strings.Cut(name, ".")
	switch {
	case kind == "device":
		return strings.TrimSuffix(strings.TrimSuffix(text, "rwm"), ":"), true
	case kind == "extra_host":
		return canonicalSet(text), true
	case kind == "mount" && strings.HasSuffix(name, ".source"):
		return cleanPath(text), true
	case kind == "mount" && strings.HasSuffix(name, ".propagation"):
		return strings.TrimPrefix(text, "rprivate"), true
	case kind == "network" && (strings.HasSuffix(name, ".ipv4") || strings.HasSuffix(name, ".ipv6")):
		return canonicalAddress(text), true
	}
	return "", false
}

func cleanPath(text string) string {
	if text == "" {
		return ""
	}
	return path.Clean(text)
}

// wholeSeconds rounds up, as drawGrace does.
func wholeSeconds(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	return (time.Duration(*drawGrace(&d)) * time.Second).String()
}

func canonicalList(text string, item func(string) string) string {
	var items []string
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		return text
	}
	for i := range items {
		items[i] = item(items[i])
	}
	items = slices.DeleteFunc(items, func(s string) bool { return s == "" })
	slices.Sort(items)
	return strings.Join(slices.Compact(items), "\n")
}

func canonicalCapability(text string) string {
	return strings.TrimPrefix(strings.ToUpper(text), "CAP_")
}

// canonicalSecurity passes over the option that the engine adds to privileged
// containers and to those in a namespace of the host.
func canonicalSecurity(text string) string {
	if at := strings.IndexAny(text, ":="); at >= 0 {
		text = text[:at] + "=" + text[at+1:]
	}
	switch text {
	case "no-new-privileges":
		return "no-new-privileges=true"
	case "label=disable":
		return ""
	}
	return text
}

// canonicalPlatform leaves out the variant that an architecture has anyway.
func canonicalPlatform(text string) string {
	text = strings.ToLower(text)
	if arm, ok := strings.CutSuffix(text, "/arm64/v8"); ok {
		return arm + "/arm64"
	}
	return text
}

func canonicalSet(text string) string {
	items := strings.Split(text, ", ")
	slices.Sort(items)
	return strings.Join(slices.Compact(items), ", ")
}

func canonicalAddress(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	return address.String()
}
