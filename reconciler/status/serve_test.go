package status_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/status"
)

func TestPortAloneIsThisMachinesOnly(t *testing.T) {
	for text, want := range map[string]string{
		"9180": "127.0.0.1:9180", ":9180": "127.0.0.1:9180", "0.0.0.0:9180": "0.0.0.0:9180", "[::]:9180": "[::]:9180", "localhost:0": "localhost:0",
	} {
		if got, err := status.Address(text); got != want || err != nil {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
	for _, text := range []string{"", "localhost", "99999", "::1", "http://localhost:9180/"} {
		if got, err := status.Address(text); err == nil || !strings.Contains(err.Error(), "write 9180") {
			t.Errorf("%q: %s %v", text, got, err)
		}
	}
}

// serve answers on a port of this machine until the test ends or stop is called, which
// gives what Serve has given.
func serve(t *testing.T, c status.Certificate) (address string, stop func() error) {
	t.Helper()
	listener, err := status.Listen(t.Context(), "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- status.Serve(ctx, listener, board(good).Handler(), slog.New(slog.DiscardHandler))
	}()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { stop() })
	return listener.Addr().String(), stop
}

// certify writes a certificate for this machine and gives who is to be trusted for it.
func certify(t *testing.T, c status.Certificate, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for file, block := range map[string]*pem.Block{c.File: {Type: "CERTIFICATE", Bytes: der}, c.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool
}

func TestRenewedCertificateCountsAtOnce(t *testing.T) {
	dir := t.TempDir()
	c := status.Certificate{File: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	first := certify(t, c, 1)
	address, _ := serve(t, c)
	ask := func(trusted *x509.CertPool) error {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, DisableKeepAlives: true}}
		answer, err := client.Get("https://" + address + "/healthz")
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	second := certify(t, c, 2)
	if ask(first) == nil || ask(second) != nil {
		t.Errorf("with the old one %v, with the new one %v", ask(first), ask(second))
	}
}

func TestListenRefusesHalfACertificate(t *testing.T) {
	dir := t.TempDir()
	whole := status.Certificate{File: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	certify(t, whole, 1)
	for name, c := range map[string]status.Certificate{
		"needs both": {File: whole.File}, "TLS needs": {KeyFile: whole.KeyFile}, "the TLS certificate": {File: whole.File, KeyFile: whole.File},
		"no such file": {File: "missing.pem", KeyFile: whole.KeyFile},
	} {
		if _, err := status.Listen(t.Context(), "127.0.0.1:0", c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPortThatIsTakenIsAnError(t *testing.T) {
	address, _ := serve(t, status.Certificate{})
	if _, err := status.Listen(t.Context(), address, status.Certificate{}); err == nil {
		t.Error("it was taken twice")
	}
}

func TestServingEndsThoughAClientHangs(t *testing.T) {
	address, stop := serve(t, status.Certificate{})
	hanging, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	fmt.Fprint(hanging, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ") // and no more
	answer, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(answer.Body); string(text) != "ok\n" {
		t.Errorf("%s", text)
	}
	answer.Body.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the port is still open")
	}
}

// An agent may be told to end before its page is served.
func TestPageThatIsServedTooLateEndsInOrder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup // so many that one is held up at the worst moment
	for range 100 {
		all.Go(func() {
			for range 50 {
				listener, err := status.Listen(t.Context(), "127.0.0.1:0", status.Certificate{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := status.Serve(ctx, listener, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
