package dacapo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// encode writes a value as JSON in the form of the other SDKs: without white space or unnecessary escapes.
func encode(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

func encodeInput(value any) (string, error) {
	text, err := encode(value)
	if err != nil {
		return "", &Failure{
			Type:         failureInvalidInput,
			Message:      fmt.Sprintf("a %T cannot be written as JSON: %v", value, err),
			NotRetriable: true,
		}
	}
	return text, nil
}

func encodeOutput(value any, what string) (string, error) {
	text, err := encode(value)
	if err != nil {
		return "", &Failure{
			Type:         failureInvalidOutput,
			Message:      fmt.Sprintf("%s cannot be written as JSON: %v", what, err),
			NotRetriable: true,
		}
	}
	return text, nil
}

func decode[T any](text, failureType, what string) (T, error) {
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return value, &Failure{
			Type:         failureType,
			Message:      fmt.Sprintf("%s is not a %v: %v", what, reflect.TypeFor[T](), err),
			Details:      text,
			NotRetriable: true,
		}
	}
	return value, nil
}
