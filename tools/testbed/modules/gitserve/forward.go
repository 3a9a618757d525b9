package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
)

// forward passes requests to a server that listens on a Unix socket, which a program outside of this one's network can do.
type forward struct {
	host    string
	handler http.Handler
}

// parseForward reads HOST=SOCKET; an empty text is none.
func parseForward(text string) (*forward, error) {
	if text == "" {
		return nil, nil
	}
	host, socket, found := strings.Cut(text, "=")
	if !found || host == "" || socket == "" {
		return nil, fmt.Errorf("-forward %s: give HOST=SOCKET", text)
	}
	var dialer net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", host, r.In.Host
		},
		// the answers of git are compressed as the two who talk agree
		Transport:     &http.Transport{DialContext: dial, DisableCompression: true},
		FlushInterval: -1,
	}
	return &forward{host: host, handler: proxy}, nil
}

// takes says whether a request is for the server behind the socket: its API, and git of those who sign in. Git without a login is
// answered here, so that whoever only reads does not depend on that server.
func (f *forward) takes(host string, r *http.Request) bool {
	return f != nil && host == f.host && (strings.HasPrefix(r.URL.Path, "/api/") || r.Header.Get("Authorization") != "")
}
