package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// The outputs that every command has which shows something.
const (
	outputText = "text"
	outputJSON = "json"
)

// choice is a flag that takes one of a few words.
type choice struct {
	chosen *string
	of     []string
}

func (c choice) String() string {
	if c.chosen == nil {
		return "" // pflag asks a zero one
	}
	return *c.chosen
}

// Set takes a word, or says which there are.
func (c choice) Set(word string) error {
	if !slices.Contains(c.of, word) {
		return fmt.Errorf("write one of %s", strings.Join(c.of, ", "))
	}
	*c.chosen = word
	return nil
}

// Type is what the help calls the flag's value.
func (c choice) Type() string { return "string" }

// outputFlag is -o: text, json, and what else the command can write.
func (a *app) outputFlag(flags *pflag.FlagSet, more ...string) {
	a.settings.output = outputText
	usage := "text, or json for machines"
	if len(more) > 0 {
		usage += "; also " + strings.Join(more, ", ")
	}
	flags.VarP(choice{&a.settings.output, append([]string{outputText, outputJSON}, more...)}, "output", "o", usage)
}

// show writes a value: as JSON alone on standard output, or as text.
func (a *app) show(value interface {
	Text(io.Writer, plan.Paint)
}) error {
	if a.settings.output != outputJSON {
		value.Text(a.stdout, a.colour)
		return nil
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
