// Package webhook takes calls from GitHub, GitLab, Gitea, Forgejo and whoever else can sign
// a message, and has the agent look.
//
// A call says that something may be new, and nothing else is believed of it: its body is
// not read but for the signature. So a call that is repeated, or made up by somebody who
// knows the secret, costs a look and does no harm, and one that gets lost is made up for
// by the next interval.
package webhook
