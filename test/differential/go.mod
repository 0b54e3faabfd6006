module github.com/cfs-label/cfs-label/test/differential

go 1.26.0

replace github.com/cfs-label/cfs-label => ../..

require (
	github.com/cfs-label/cfs-label v0.0.0-00010101000000-000000000000
	github.com/klauspost/compress v1.20.3
)
