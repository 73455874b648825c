package dacapo

// The exports by which the host finds and runs the functions. Natively there is no host: see package dacapotest.
import _ "dacapo.dev/sdk/internal/wasm"
