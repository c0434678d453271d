package sealed

import (
	"errors"
	"strings"
)

// openDotenv opens a file of NAME=value, in which SOPS keeps its own under sops_….
func (k *Keys) openDotenv(content []byte) (o Opened, err error) {
	var m metadata
	var leaves []leaf
	var lines []*string
	o.Open = map[string]bool{}
	for text := range strings.SplitSeq(string(content), "\n") {
		if text == "" || text[0] == '#' {
			continue // a comment is no part of what counts
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return o, errors.New("a line of it is not NAME=value")
		}
		value = strings.ReplaceAll(value, `\n`, "\n")
		if own, ok := strings.CutPrefix(name, "sops_"); ok {
			m.add(own, value)
			continue
		}
		line := new(string)
		*line = name + "=" + strings.ReplaceAll(value, "\n", `\n`)
		lines = append(lines, line)
		o.Open[name] = true
		leaves = append(leaves, leaf{path: []string{name}, text: value, plain: value, set: func(plain, _ string) {
			o.Open[name] = false
			*line = name + "=" + strings.ReplaceAll(plain, "\n", `\n`)
		}})
	}
	if o.Secrets, err = k.open(m, leaves); err != nil {
		return o, err
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(*line + "\n")
	}
	o.Content = []byte(b.String())
	return o, nil
}

// add takes one of SOPS' own values by its flat name, as in "age__list_0__map_enc".
func (m *metadata) add(name, value string) {
	switch name {
	case "mac":
		m.MAC = value
	case "lastmodified":
		m.LastModified = value
	case "unencrypted_suffix":
		m.UnencryptedSuffix = value
	case "encrypted_suffix":
		m.EncryptedSuffix = value
	case "unencrypted_regex":
		m.UnencryptedRegex = value
	case "encrypted_regex":
		m.EncryptedRegex = value
	case "unencrypted_comment_regex":
		m.UnencryptedCommentRegex = value
	case "encrypted_comment_regex":
		m.EncryptedCommentRegex = value
	case "mac_only_encrypted":
		m.MACOnlyEncrypted = strings.EqualFold(value, "true")
	default:
		switch {
		case strings.HasPrefix(name, "key_groups__"):
			m.KeyGroups = append(m.KeyGroups, name)
		case strings.HasPrefix(name, "age__") && strings.HasSuffix(name, "__map_enc"):
			m.Age = append(m.Age, struct {
				Enc string `yaml:"enc"`
			}{value})
		}
	}
}
