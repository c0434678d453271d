package main

import (
	"fmt"
	"log/slog"
)

// logger writes to standard error, in the format and from the level on that were
// asked for.
func (a *app) logger(s runSettings) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("unknown --log-level %q: write debug, info, warn or error", s.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(a.stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, o)), nil
	}
	return nil, fmt.Errorf("unknown --log-format %q: write text or json", s.logFormat)
}
