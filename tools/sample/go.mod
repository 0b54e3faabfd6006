module github.com/cfs-label/cfs-label/tools/sample

go 1.26.0
