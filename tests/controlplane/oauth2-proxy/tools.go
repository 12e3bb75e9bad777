//go:build tools

// Package tools holds the version of oauth2-proxy: see ../oauth2_proxy.py.
package tools

import _ "github.com/oauth2-proxy/oauth2-proxy/v7"
