// SPDX-License-Identifier: Apache-2.0

// Package stackgen makes random stacks of OCI layers for comparing programs
// that read them. A stack follows from its seed alone.
//
//	Generate          a seed to a Stack: entries as data, nothing encoded yet
//	GenerateBootable  the same with what hosts look for when they boot an image
//	Layer.Tar         a layer to the bytes of its tar stream
//	Stack.Write       a stack to an OCI image layout
//	Shrink            a stack to a smaller one for which something still holds
//
// The tar headers are written by hand: what is asked for here goes beyond what
// archive/tar agrees to write.
//
// Most stacks are such that an image comes out of them. A few carry one of the
// Faults, after which every reader must refuse.
package stackgen
