package compose

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func asLoadErrors(err error, into **yaml.LoadErrors) bool { return errors.As(err, into) }

func asValidation(err error, into **jsonschema.ValidationError) bool { return errors.As(err, into) }
