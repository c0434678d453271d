package compose

import (
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// How a store is treated that does not say it otherwise.
const (
	// defaultAnswerTime is what S3 clients give a server that is busy and well.
	defaultAnswerTime = 10 * time.Second
	// defaultRetries outlast a throttled second.
	defaultRetries = 3
	// maxRetries keeps a look from going on for minutes.
	maxRetries = 20
)

// storeKeys are those by which a store knows us, written down or in files; none where the
// AWS credentials of the machine are to be used.
func (c *conversion) storeKeys(name string, s store) (access, secret spec.Value) {
	user, hasUser := c.storeKey(name, "access_key", s.AccessKey, s.AccessKeyFile)
	password, hasPassword := c.storeKey(name, "secret_key", s.SecretKey, s.SecretKeyFile)
	c.secret(password)
	if s.AccessKeyFile != "" {
		c.secret(user)
	}
	switch {
	case hasUser != hasPassword, !hasUser && s.Service != "":
		c.fault(c.rootPlace("stores", name), "give it both", "store %q has no access_key or no secret_key", name)
	case !hasUser:
		return spec.Value{}, spec.Value{}
	}
	return spec.Sensitive(user), spec.Sensitive(password)
}

// deleteKeys are those by which retention removes files; none where it may not.
func (c *conversion) deleteKeys(name string, s store, usual spec.Value) (access, secret spec.Value) {
	user, hasUser := c.storeKey(name, "delete_access_key", s.DeleteAccessKey, s.DeleteAccessKeyFile)
	password, hasPassword := c.storeKey(name, "delete_secret_key", s.DeleteSecretKey, s.DeleteSecretKeyFile)
	c.secret(password)
	if s.DeleteAccessKeyFile != "" {
		c.secret(user)
	}
	switch {
	case hasUser != hasPassword:
		c.fault(c.rootPlace("stores", name), "give it both", "store %q has no delete_access_key or no delete_secret_key", name)
	case hasUser && !usual.IsZero() && user == usual.Reveal():
		c.fault(c.rootPlace("stores", name, "delete_access_key"), "make a user that may do no more than remove files in the folders of tables", "store %q has one access key for everything: whoever looks at tables must not be able to remove them", name)
	}
	if !hasUser || !hasPassword {
		return spec.Value{}, spec.Value{}
	}
	return spec.Sensitive(user), spec.Sensitive(password)
}

// storeKey is a key that is written down, or in a file of its own.
func (c *conversion) storeKey(name, key, text, file string) (value string, given bool) {
	at, inFile := c.rootPlace("stores", name, key), c.rootPlace("stores", name, key+"_file")
	switch {
	case text != "" && file != "":
		c.fault(inFile, "keep one of the two", "store %q has both %s and %s_file", name, key, key)
		return text, true
	case file != "":
		content, ok := c.storeFile(file, key+"_file", inFile)
		if value = strings.TrimSpace(content); ok && value == "" {
			c.fault(inFile, "", "%s_file %s is empty", key, file)
		}
		return value, true
	case text != "":
		if value = c.substitute(text, c.env, at); value == "" {
			c.fault(at, "give the variable a value", "%s of store %q is empty", key, name)
		}
		return value, true
	}
	return "", false
}

// answerTime is how long a store may take to answer a request.
func (c *conversion) answerTime(text string, at place) time.Duration {
	if text == "" {
		return defaultAnswerTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > time.Hour {
		c.fault(at, "write it as in 10s, from 1s to 1h", "%q is not a time that a store may take to answer", text)
	}
	return d
}

// retries is how often a look asks a store again.
func (c *conversion) retries(n *int, at place) int {
	switch {
	case n == nil:
		return defaultRetries
	case *n < 0 || *n > maxRetries:
		c.fault(at, "write a number from 0 to 20", "%d is not how often a store may be asked again", *n)
	}
	return *n
}
