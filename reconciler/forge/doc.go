// Package forge says on GitHub, GitLab, Gitea and Forgejo what became of a commit: a commit
// status, as those of builds.
//
//	report.Report ──▶ Of: Status ──▶ Teller: the newest for each commit ──▶ Client ──▶ forge
//
// It is the state of a commit that is told, not what happened: of what could not be told in
// time only the newest counts. Nobody waits for a forge.
package forge
