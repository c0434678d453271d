// Package notify tells others how a project stands, when that has become another thing than
// they were told last.
//
//	report.Report ──▶ Of: State ──▶ Notifier ──▶ one queue for each receiver ──▶ HTTP, Chat
//
// A message is about a change of condition and never about a run. What a receiver was told
// is remembered once it has taken the message, so that a new agent repeats nothing and leaves
// nothing out. Nobody waits for a receiver: what it does not take is tried again and, in the
// end, dropped and said so.
package notify
