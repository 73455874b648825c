package dacapo

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encode writes a value as JSON, as the other SDKs do: no white space, nothing escaped that need not be.
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

func encodeOutput(function string, value any) (string, error) {
	text, err := encode(value)
	if err != nil {
		return "", &Failure{
			Type:         failureInvalidOutput,
			Message:      fmt.Sprintf("`%s` cannot write its output: %v", function, err),
			NotRetriable: true,
		}
	}
	return text, nil
}

func decodeInput(function, text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return &Failure{
			Type:         failureInvalidInput,
			Message:      fmt.Sprintf("`%s` cannot read its input: %v", function, err),
			NotRetriable: true,
		}
	}
	return nil
}
