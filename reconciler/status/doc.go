// Package status shows over HTTP how an agent and its project stand: for a load balancer
// (/healthz, /readyz), for programs (/status) and for Prometheus (/metrics).
//
//	agent ──Report──▶ Board ──▶ /status, /metrics
//	      ──Kept────▶       ──▶ /readyz
//	      ──Tables──▶       ──▶ /metrics
//
// All that is shown is derived from the Reports of runs and of looks at tables, and from what the
// agent says of itself, here and nowhere else. Nothing that is asked for here looks at the engine or
// changes anything, and nobody who asks can keep the agent from its work. The Prometheus
// library lives here only.
package status
