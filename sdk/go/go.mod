module carrara.dev/policy

go 1.25
