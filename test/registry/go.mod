module github.com/cfs-label/cfs-label/test/registry

go 1.26.0

replace github.com/cfs-label/cfs-label => ../..

require (
	github.com/cfs-label/cfs-label v0.0.0-00010101000000-000000000000
	github.com/distribution/distribution/v3 v3.1.2
	github.com/google/go-containerregistry v0.22.1
	golang.org/x/crypto v0.54.0
)
