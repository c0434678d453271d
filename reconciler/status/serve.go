package status

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// patience is how long a client may take to send its request, and to read the answer:
	// one that dawdles holds a connection, and nothing else.
	patience = 10 * time.Second
	idle     = time.Minute
	// farewell is how long requests may take to end when the agent stops.
	farewell    = 2 * time.Second
	mostHeaders = 16 << 10 // bytes
	// connections is how many there may be at once. More wait.
	connections = 64
)

// Address reads where to listen: PORT or :PORT is on this machine only, everything else
// has to say the host, as in 0.0.0.0:9180.
func Address(text string) (string, error) {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q is no address to listen on: write 9180 for this machine only, or a host too, as in 0.0.0.0:9180", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Loopback tells whether only this machine can reach an address.
func Loopback(at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Listen opens an address that Address gave. With a certificate it speaks TLS only.
func Listen(ctx context.Context, address string, c Certificate) (net.Listener, error) {
	if (c.File == "") != (c.KeyFile == "") {
		return nil, errors.New("TLS needs both a certificate and its key")
	}
	if c.File != "" {
		if _, err := c.get(nil); err != nil {
			return nil, err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	listener = netutil.LimitListener(listener, connections)
	if c.File == "" {
		return listener, nil
	}
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// Serve answers requests until ctx is done.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: idle,
		MaxHeaderBytes: mostHeaders, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // at once, if ctx is done by now
		defer close(stopped)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(ending) != nil {
			server.Close()
		}
	})
	err := server.Serve(listener)
	if stop() { // it has failed by itself
		return err
	}
	<-stopped
	return nil
}

// Certificate names the PEM files of a TLS certificate and its key.
type Certificate struct{ File, KeyFile string }

// get reads the files, at each new connection: whoever renews them needs to tell nobody.
func (c Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.File, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("the TLS certificate: %w", err)
	}
	return &pair, nil
}
