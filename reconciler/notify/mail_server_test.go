package notify_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// mailServer speaks as much SMTP (RFC 5321, with AUTH PLAIN) as a client needs, and refuses
// what a real one would refuse.
type mailServer struct {
	listener net.Listener
	answer   func(line string) string // another answer than usual, or ""
	letters  chan letter
	dialled  chan net.Conn
}

// letter is what one DATA command brought.
type letter struct {
	user, from string
	to         []string
	header     mail.Header
	body       string
}

func serveMail(t *testing.T, answer func(line string) string) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{listener, answer, make(chan letter, 16), make(chan net.Conn, 16)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.dialled <- conn
			go s.serve(t, conn)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return s
}

func (s *mailServer) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	c, one := textproto.NewConn(conn), letter{}
	if s.answer("") == "hang" {
		c.ReadLine() // until the client or the test has enough of it
		return
	}
	c.PrintfLine("220 mail.example.org ESMTP")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		say := s.answer(line)
		switch verb = strings.ToUpper(verb); {
		case say != "":
		case verb == "EHLO":
			c.PrintfLine("250-mail.example.org")
			say = "250 AUTH PLAIN"
		case verb == "AUTH":
			text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			one.user, say = string(text), "235 welcome"
		case verb == "MAIL":
			one.from, one.to, say = rest, nil, "250 ok"
		case verb == "RCPT" && one.from != "":
			one.to, say = append(one.to, rest), "250 ok"
		case verb == "DATA" && len(one.to) > 0:
			c.PrintfLine("354 go on")
			s.take(t, c, one)
			say = "250 taken"
		case verb == "QUIT":
			c.PrintfLine("221 bye")
			return
		default:
			say = "503 not now"
		}
		c.PrintfLine("%s", say)
	}
}

func (s *mailServer) take(t *testing.T, c *textproto.Conn, one letter) {
	m, err := mail.ReadMessage(c.DotReader())
	if err != nil {
		t.Errorf("no letter: %v", err)
		return
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Error(err)
	}
	one.header, one.body, one.to = m.Header, string(body), slices.Clone(one.to)
	s.letters <- one
}

func usually(string) string { return "" }
