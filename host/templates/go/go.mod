module {{name}}

go 1.24

require dacapo.dev/sdk v0.0.0

// Where `dacapo build` puts the SDK.
replace dacapo.dev/sdk => ./.dacapo/sdk/go
