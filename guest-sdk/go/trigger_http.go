package dacapo

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const httpOutput = "http"

// HTTPTrigger registers an HTTP trigger: a function that the host calls for each request to its route. Call it in an init
// function.
//
//	func init() {
//		dacapo.HTTPTrigger("start", start, dacapo.Route("orders/{id:int}"), dacapo.Methods{"POST"}, dacapo.AuthAnonymous)
//	}
//
//	func start(ctx *dacapo.TriggerContext, request *dacapo.HTTPTriggerRequest) (*dacapo.HTTPTriggerResponse, error) {
//		id, err := ctx.StartOrchestration("order", request.Params["id"])
//		if err != nil {
//			return nil, err
//		}
//		return ctx.CreateCheckStatusResponse(request, id)
//	}
//
// Without options the route is the name of the trigger, all methods are allowed, and callers need a key of a function. A nil
// response is 204, an error 500.
func HTTPTrigger(name string, run func(ctx *TriggerContext, request *HTTPTriggerRequest) (*HTTPTriggerResponse, error),
	options ...HTTPTriggerOption) {
	t := newTrigger(name, binding{Type: "httpTrigger", Name: "req", AuthLevel: string(AuthFunction)})
	t.outputs = []binding{{Type: httpOutput, Direction: "out", Name: "$return"}}
	for _, option := range options {
		option.httpTrigger(t)
	}
	t.inputOf = encodeInput
	t.fire = func(ctx *TriggerContext, input string) (*HTTPTriggerResponse, error) {
		request, err := decode[HTTPTriggerRequest](input, failureInvalidInput, "the request to `"+name+"`")
		if err != nil {
			return nil, err
		}
		return run(ctx, &request)
	}
	t.register()
}

// A Route is the path of an HTTP trigger, without the prefix that the host has for all of them. It may have parameters:
// "orders/{id}", "orders/{id:int}", "orders/{id?}", "files/{*path}".
type Route string

// Methods are the HTTP methods that an HTTP trigger allows.
type Methods []string

// An AuthLevel says which key the callers of an HTTP trigger need.
type AuthLevel string

// The levels: no key, a key of a function, the key of an administrator.
const (
	AuthAnonymous AuthLevel = "anonymous"
	AuthFunction  AuthLevel = "function"
	AuthAdmin     AuthLevel = "admin"
)

func (r Route) httpTrigger(t *trigger)     { t.starts.Route = (*string)(&r) }
func (m Methods) httpTrigger(t *trigger)   { t.starts.Methods = m }
func (l AuthLevel) httpTrigger(t *trigger) { t.starts.AuthLevel = string(l) }

// An HTTPTriggerRequest is a request to an HTTP trigger.
type HTTPTriggerRequest struct {
	Method  string
	URL     string
	Headers Headers
	Query   Values
	// Params are the parameters of the route.
	Params map[string]string
	Body   []byte
}

// DecodeJSON reads the body as JSON into a value. The error is the [*Failure] "InvalidInput".
func (r *HTTPTriggerRequest) DecodeJSON(into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return &Failure{
			Type:         failureInvalidInput,
			Message:      "the body of the request is not the JSON that is expected: " + err.Error(),
			Details:      string(r.Body),
			NotRetriable: true,
		}
	}
	return nil
}

// An HTTPTriggerResponse is the response of an HTTP trigger.
type HTTPTriggerResponse struct {
	// Status is 200 if it is 0.
	Status  int
	Headers Headers
	Body    []byte
}

// JSONResponse makes a response whose body is a value as JSON.
func JSONResponse(status int, value any) (*HTTPTriggerResponse, error) {
	text, err := encodeOutput(value, "the body of a response")
	if err != nil {
		return nil, err
	}
	return newResponse(status, "application/json; charset=utf-8", text), nil
}

// TextResponse makes a response whose body is a text.
func TextResponse(status int, text string) *HTTPTriggerResponse {
	return newResponse(status, "text/plain; charset=utf-8", text)
}

func newResponse(status int, contentType, body string) *HTTPTriggerResponse {
	headers := Headers{}
	headers.Set("Content-Type", contentType)
	return &HTTPTriggerResponse{Status: status, Headers: headers, Body: []byte(body)}
}

// Values are the parameters of a query, each with its values, like those of net/url.
type Values map[string][]string

// Get returns the first value of a parameter, or an empty text.
func (v Values) Get(name string) string {
	if values := v[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Headers are the headers of a request or response, each with its values. The names are in lower case.
type Headers map[string][]string

// Get returns the first value of a header, or an empty text.
func (h Headers) Get(name string) string {
	if values := h[strings.ToLower(name)]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set replaces the values of a header by one.
func (h Headers) Set(name, value string) {
	h[strings.ToLower(name)] = []string{value}
}

// Add adds a value to those of a header, for example a further Set-Cookie.
func (h Headers) Add(name, value string) {
	name = strings.ToLower(name)
	h[name] = append(h[name], value)
}

// wireBody is a body in the form of the contract: a text, or the Base64 of what is not UTF-8.
type wireBody struct {
	Body       *string `json:"body,omitempty"`
	BodyBase64 []byte  `json:"bodyBase64,omitempty"`
}

func bodyToWire(body []byte) wireBody {
	if len(body) == 0 {
		return wireBody{}
	}
	if !utf8.Valid(body) {
		return wireBody{BodyBase64: body}
	}
	text := string(body)
	return wireBody{Body: &text}
}

func (w wireBody) bytes() []byte {
	if w.Body != nil {
		return []byte(*w.Body)
	}
	return w.BodyBase64
}

type wireHTTPTriggerRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers [][2]string       `json:"headers"`
	Query   [][2]string       `json:"query"`
	Params  map[string]string `json:"params"`
	wireBody
}

// MarshalJSON converts the request to the form that the host sends.
func (r HTTPTriggerRequest) MarshalJSON() ([]byte, error) {
	headers := map[string][]string{}
	for name, values := range r.Headers {
		headers[strings.ToLower(name)] = values
	}
	return json.Marshal(wireHTTPTriggerRequest{r.Method, r.URL, pairsOf(headers), pairsOf(r.Query), r.Params, bodyToWire(r.Body)})
}

// UnmarshalJSON reads the request in the form that the host sends.
func (r *HTTPTriggerRequest) UnmarshalJSON(text []byte) error {
	var wire wireHTTPTriggerRequest
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	*r = HTTPTriggerRequest{wire.Method, wire.URL, valuesOf(wire.Headers), valuesOf(wire.Query), wire.Params, wire.bytes()}
	return nil
}

type wireHTTPTriggerResponse struct {
	Status  int         `json:"status,omitempty"`
	Headers [][2]string `json:"headers,omitempty"`
	wireBody
}

// MarshalJSON converts the response to the form that the host reads.
func (r HTTPTriggerResponse) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireHTTPTriggerResponse{r.Status, pairsOf(r.Headers), bodyToWire(r.Body)})
}

// UnmarshalJSON reads the response in the form that the host reads.
func (r *HTTPTriggerResponse) UnmarshalJSON(text []byte) error {
	var wire wireHTTPTriggerResponse
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	*r = HTTPTriggerResponse{wire.Status, valuesOf(wire.Headers), wire.bytes()}
	return nil
}

// pairsOf returns names and values, ordered by name.
func pairsOf(values map[string][]string) [][2]string {
	pairs := [][2]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	return pairs
}

func valuesOf(pairs [][2]string) map[string][]string {
	values := map[string][]string{}
	for _, pair := range pairs {
		values[pair[0]] = append(values[pair[0]], pair[1])
	}
	return values
}
