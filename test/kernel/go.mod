module github.com/cfs-label/cfs-label/test/kernel

go 1.26.0

replace github.com/cfs-label/cfs-label => ../..

require (
	github.com/cfs-label/cfs-label v0.0.0-00010101000000-000000000000
	golang.org/x/sys v0.49.0
)
