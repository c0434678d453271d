package git

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/net/proxy"
)

// timed is the scheme of what go-git takes for a proxy, and what gives its SSH connections an end:
// go-git bounds how long it dials, and then waits for ever for a server that says nothing.
const timed = "flumen-timed"

var registerTimed = sync.OnceFunc(func() {
	proxy.RegisterDialerType(timed, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
		end, err := strconv.ParseInt(u.Host, 10, 64)
		return timedDialer(end), err
	})
})

// endingAt has a connection by SSH end at a time.
func endingAt(end time.Time) transport.ProxyOptions {
	registerTimed()
	return transport.ProxyOptions{URL: fmt.Sprintf("%s://%d", timed, end.UnixNano())}
}

// timedDialer makes connections that end at a time, in nanoseconds since 1970.
type timedDialer int64

var _ proxy.ContextDialer = timedDialer(0)

func (d timedDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext goes through the proxy of the environment, as go-git does by itself.
func (d timedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := proxy.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Unix(0, int64(d))); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
