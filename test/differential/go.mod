module github.com/cfs-label/cfs-label/test/differential

go 1.26.0

replace github.com/cfs-label/cfs-label => ../..

require (
	github.com/cfs-label/cfs-label v0.0.0-00010101000000-000000000000
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.3
)

require github.com/dlclark/regexp2 v1.12.0 // indirect
