module github.com/cfs-label/cfs-label/test/multistage

go 1.26
