module carrara.dev/contract

go 1.25

require carrara.dev/policy v0.0.0

replace carrara.dev/policy => ../../go
