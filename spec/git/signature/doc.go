// Package signature says whether a text of git's (a commit or a tag) was signed by somebody
// who is trusted: with SSH, as git has ssh-keygen do it, or with OpenPGP.
//
//	text, its signature ──▶ Trust.Check ──▶ who signed it, or a Refusal
//	                            ▲
//	     allowed signers, keyring (read at every check)
//
// It makes no signatures, runs no program, and asks no keyserver: what is not in the files is
// not trusted.
package signature
