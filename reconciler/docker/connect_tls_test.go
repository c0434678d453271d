package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clicontext "github.com/docker/cli/cli/context"
	dockercontext "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
)

// authority signs certificates for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue gives a certificate for 127.0.0.1 and its key.
func (a authority) issue(t *testing.T) (cert, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// onTLS serves to those whom the authority has given a certificate.
func (a authority) onTLS(t *testing.T, handler http.Handler) string {
	t.Helper()
	cert, key := a.issue(t)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// dir is a directory as DOCKER_CERT_PATH names it.
func (a authority) dir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := a.issue(t)
	for name, content := range map[string][]byte{"ca.pem": a.pem, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestConnectShowsItsCertificate(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	host := ours.onTLS(t, engineOf("1.47", "27.0"))
	mustConnect(t, variables(t, "DOCKER_HOST", host, "DOCKER_TLS_VERIFY", "1", "DOCKER_CERT_PATH", ours.dir(t)))
	mustNotConnect(t, variables(t, "DOCKER_HOST", host), host, "TLS")
}

func TestConnectVerifiesTheEngineOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	host := ours.onTLS(t, engineOf("1.47", "27.0"))
	dir := ours.dir(t)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), theirs.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	mustNotConnect(t, variables(t, "DOCKER_HOST", host, "DOCKER_TLS_VERIFY", "1", "DOCKER_CERT_PATH", dir), host, "certificate")
	mustConnect(t, variables(t, "DOCKER_HOST", host, "DOCKER_CERT_PATH", dir))
}

func TestConnectSaysThatTheTLSFilesAreMissing(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	mustNotConnect(t, variables(t, "DOCKER_HOST", "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY", "1", "DOCKER_CERT_PATH", empty), empty, "DOCKER_CERT_PATH", "ca.pem")
}

// addContext writes a Docker context, and makes it the current one.
func addContext(t *testing.T, dir, name, host string, files *clicontext.TLSData) {
	t.Helper()
	s := store.New(filepath.Join(dir, "contexts"), contextTypes())
	meta := store.Metadata{Name: name, Endpoints: map[string]any{dockercontext.DockerEndpoint: dockercontext.EndpointMeta{Host: host}}}
	if err := s.CreateOrUpdate(meta); err != nil {
		t.Fatal(err)
	}
	if files != nil {
		if err := s.ResetEndpointTLSMaterial(name, dockercontext.DockerEndpoint, files.ToStoreTLSData()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]string{"currentContext": name})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConnectFollowsDockersCurrentContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours := newAuthority(t)
	cert, key := ours.issue(t)
	addContext(t, dir, "other", onPort(t, engineOf("1.45", "26.1")), nil)
	addContext(t, dir, "lab", ours.onTLS(t, engineOf("1.47", "27.0")), &clicontext.TLSData{CA: ours.pem, Cert: cert, Key: key})
	for variable, api := range map[string]string{"": "1.47", "other": "1.45"} {
		engine := mustConnect(t, variables(t, "DOCKER_CONFIG", dir, "DOCKER_CONTEXT", variable))
		if got := engine.ClientVersion(); got != api {
			t.Errorf("DOCKER_CONTEXT=%s: API %s, not %s", variable, got, api)
		}
	}
}

func TestDockerHostGoesBeforeTheContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addContext(t, dir, "lab", "tcp://127.0.0.1:1", nil)
	mustConnect(t, variables(t, "DOCKER_CONFIG", dir, "DOCKER_HOST", onPort(t, engineOf("1.47", "27.0"))))
}

func TestConnectNamesTheContextOfAnEngineThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addContext(t, dir, "lab", "tcp://127.0.0.1:1", nil)
	mustNotConnect(t, variables(t, "DOCKER_CONFIG", dir), "tcp://127.0.0.1:1", `the Docker context "lab"`)
}

func TestConnectNamesAContextThatIsNotThere(t *testing.T) {
	t.Parallel()
	mustNotConnect(t, variables(t, "DOCKER_CONTEXT", "nowhere"), `"nowhere"`, "DOCKER_CONTEXT", "docker context ls")
}

func TestTheDefaultContextIsThisMachinesEngine(t *testing.T) {
	t.Parallel()
	at, err := locate(variables(t, "DOCKER_CONTEXT", "default"))
	if err != nil {
		t.Fatal(err)
	}
	if got := at.String(); !strings.Contains(got, "docker.sock (from the default)") {
		t.Error(got)
	}
}
