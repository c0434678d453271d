// Package sealed opens files that are encrypted for age: whole files, and files of SOPS whose
// data key is encrypted for age.
//
//	content ──▶ Kind ──▶ Keys.Open ──▶ plain content, and which texts in it are secret
//	                        ▲
//	            files and texts with keys (read when the first file needs one)
//
// What it opens stays in memory: nothing is written. It calls nobody, so a SOPS file whose
// data key only a cloud can open stays closed, and is refused by name.
package sealed
