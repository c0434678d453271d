package compose

import (
	"crypto/x509"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// readStores reads the stores, by name.
func (c *conversion) readStores() {
	c.stores = map[string]*spec.Store{}
	for _, name := range slices.Sorted(maps.Keys(c.root.Stores)) {
		one := c.store(name, c.root.Stores[name])
		c.stores[name] = one
		c.Desired.Stores = append(c.Desired.Stores, one)
	}
}

func (c *conversion) store(name string, s store) *spec.Store {
	at := func(path ...string) place { return c.rootPlace(append([]string{"stores", name}, path...)...) }
	if s.Path != "" {
		return c.folder(name, s, at)
	}
	put := func(key, text string) string { return c.substitute(text, c.env, at(key)) }
	one := &spec.Store{
		Name: name, Service: s.Service, Secure: s.Secure, Region: put("region", s.Region),
		CA: c.authority(s.CAFile, at("ca_file")), Retries: c.retries(s.Retries, at("retries")),
		Timeout: c.answerTime(put("timeout", s.Timeout), at("timeout")),
	}
	one.AccessKey, one.SecretKey = c.storeKeys(name, s)
	one.DeleteAccessKey, one.DeleteSecretKey = c.deleteKeys(name, s, one.AccessKey)
	if s.Service != "" {
		c.checkServed(name, s, at("service"))
	}
	switch {
	case s.Endpoint != "" && (s.Port != 0 || s.Secure):
		c.fault(at(), "write both into the endpoint, as in https://s3.example.com:9000", "port and secure are for a store that is reached at its service")
	case s.Endpoint != "":
		one.Endpoint, one.Secure = c.endpoint(put("endpoint", s.Endpoint), at("endpoint"))
	case s.Service == "":
		c.fault(at(), "give it one of the three", "store %q has neither service nor endpoint nor path", name)
	default:
		one.Port = c.servedPort(name, s, at)
		c.checkWay(name, s, at("service"))
	}
	return one
}

// folder is a store that is a folder of Delta tables.
func (c *conversion) folder(name string, s store, at func(...string) place) *spec.Store {
	alone := s
	alone.Path = ""
	if !reflect.ValueOf(alone).IsZero() {
		c.fault(at("path"), "keep path alone, or remove it", "store %q is a folder and has keys of an S3 store too", name)
	}
	path := c.substitute(s.Path, c.env, at("path"))
	if !filepath.IsAbs(path) || path != filepath.Clean(path) || path == "/" {
		c.fault(at("path"), "write an absolute path without . and .., as in /data/warehouse", "%q cannot be a folder of tables", path)
	}
	return &spec.Store{Name: name, Path: path}
}

// servedPort is the port of a service at which its store answers.
func (c *conversion) servedPort(name string, s store, at func(...string) place) uint16 {
	if s.Port < 1 || s.Port > 65535 {
		c.fault(at("port"), "as in port: 9000", "store %q does not say at which port of service %q it answers", name, s.Service)
		return 0
	}
	return uint16(s.Port)
}

// checkWay warns of a store that cannot be reached where it is served.
func (c *conversion) checkWay(name string, s store, at place) {
	service, active := c.services[s.Service]
	if c.options.Barred == nil || !active {
		return
	}
	var published []string
	if service.NetworkMode == "host" {
		published = append(published, "")
	}
	for _, p := range service.Ports {
		if int(p.Target) == s.Port && (p.Protocol == "" || p.Protocol == "tcp") {
			published = append(published, p.HostIP)
		}
	}
	if why := c.options.Barred(published); why != "" {
		c.warn(at, "give it an endpoint beside service, as in endpoint: http://HOST:PORT, and no port", "store %q cannot be reached at its service: %s", name, why)
	}
}

// checkServed: the service that serves a store is one that runs.
func (c *conversion) checkServed(name string, s store, at place) {
	_, active := c.services[s.Service]
	disabled, known := c.project.DisabledServices[s.Service]
	switch {
	case active && c.jobs[s.Service]:
		c.fault(at, "", "store %q is served by %q, which is a job and ends", name, s.Service)
	case active:
	case known:
		c.fault(at, "activate it with --profile", "store %q is served by %q, whose profiles (%s) are not active", name, s.Service, strings.Join(disabled.Profiles, ", "))
	default:
		c.fault(at, didYouMean(s.Service, c.names()), "store %q is served by the unknown service %q", name, s.Service)
	}
}

// endpoint reads the address of a store.
func (c *conversion) endpoint(text string, at place) (host string, secure bool) {
	u, err := url.Parse(text)
	plain := err == nil && u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
	if !plain || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.fault(at, "write it as in https://s3.example.com", "%q is not the address of a store", text)
		return "", false
	}
	return u.Host, u.Scheme == "https"
}

// authority reads the certificates that a store is known by.
func (c *conversion) authority(file string, at place) string {
	if file == "" {
		return ""
	}
	content, ok := c.storeFile(file, "ca_file", at)
	if ok && !x509.NewCertPool().AppendCertsFromPEM([]byte(content)) {
		c.fault(at, "", "ca_file %s holds no certificate in PEM", file)
	}
	return content
}

// storeFile reads a file that a store names under a key.
func (c *conversion) storeFile(file, key string, at place) (content string, ok bool) {
	path := abs(c.dir, c.substitute(file, c.env, at))
	if c.outside(path, at, key) {
		return "", false
	}
	c.Files = append(c.Files, path)
	bytes, err := readRegular(path)
	if err != nil {
		c.fault(at, "", "%s %s cannot be read: %v", key, c.shown(path), err)
		return "", false
	}
	opened, ok := c.unseal(bytes, path, at)
	return string(opened.Content), ok
}
