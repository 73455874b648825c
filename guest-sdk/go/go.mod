module dacapo.dev/sdk

go 1.24
