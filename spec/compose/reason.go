package compose

import (
	"errors"
	"io/fs"
)

// reason is what is wrong with a path, without saying the path again.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
