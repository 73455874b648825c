module example.com/press

go 1.24

require dacapo.dev/sdk v0.0.0

replace dacapo.dev/sdk => ../../../guest-sdk/go
