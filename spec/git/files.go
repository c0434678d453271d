package git

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// lfsPointer is how a file begins whose content is kept elsewhere by git LFS.
const lfsPointer = "version https://git-lfs.github.com/spec/"

// mostPointer is how large such a file may be.
const mostPointer = 1024

// file is one file of a commit, or what is there instead of one.
type file struct {
	Hash string `json:"hash"` // of its content
	Kind kind   `json:"kind,omitempty"`
	// Refused says why it is not to be used; such a file is not in the tree on disk,
	// but for pointers of LFS.
	Refused string `json:"refused,omitempty"`
}

type kind string

const (
	regular    kind = ""
	executable kind = "executable"
	link       kind = "link"
	submodule  kind = "submodule"
)

// listFiles gives all files of a tree, by path. It fails if one is missing in the clone, or
// has a name that leads out of the tree.
func listFiles(tree *object.Tree) (map[string]file, error) {
	files := map[string]file{}
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, entry, err := walker.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if entry.Mode == filemode.Dir {
			continue
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
		f, err := describe(tree, name, entry)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = f
	}
}

// checkName refuses what git itself would not check out.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.ContainsAny(part, "\\\x00") {
			return fmt.Errorf("the repository has a file called %q, which leads out of it", name)
		}
	}
	return nil
}

func describe(tree *object.Tree, name string, entry object.TreeEntry) (file, error) {
	f := file{Hash: entry.Hash.String()}
	switch entry.Mode {
	case filemode.Submodule:
		f.Kind, f.Refused = submodule, "it is a git submodule, which is not followed: put the files into the repository itself"
		return f, nil
	case filemode.Executable:
		f.Kind = executable
	case filemode.Symlink:
		f.Kind = link
	}
	blob, err := tree.TreeEntryFile(&entry)
	if err != nil {
		return f, err
	}
	if f.Kind != link && blob.Size > mostPointer {
		return f, nil
	}
	if f.Kind == link && blob.Size > 4096 {
		f.Refused = "it is a symbolic link with too long a target"
		return f, nil
	}
	text, err := blob.Contents()
	switch {
	case err != nil:
		return f, err
	case f.Kind == link && leadsOut(name, text):
		f.Refused = fmt.Sprintf("it is a symbolic link to %s, outside the repository", text)
	case f.Kind != link && strings.HasPrefix(text, lfsPointer):
		f.Refused = "its content is kept by git LFS, which is not read: put the file into the repository itself"
	}
	return f, nil
}

// leadsOut tells whether a link may lead out of the tree. Links that go up again after they
// went down do, since what they went through may be a link as well.
func leadsOut(name, target string) bool {
	if path.IsAbs(target) || target == "" {
		return true
	}
	up := 0
	for rest := target; strings.HasPrefix(rest, "../") || rest == ".."; up++ {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, ".."), "/")
		target = rest
	}
	for part := range strings.SplitSeq(target, "/") {
		if part == ".." {
			return true
		}
	}
	return up > strings.Count(name, "/")
}
