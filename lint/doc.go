// SPDX-License-Identifier: Apache-2.0

// Package lint finds what makes a composefs digest fragile, unusual or
// impossible: what hosts refuse, what they leave out, and what changes by itself
// between two builds.
//
// A rule is data ([Rules]): its id, how bad it is, why, and what to do. What
// breaks it is a [Finding]. Findings come from the reading of layers, which
// tells a [Collector] of what hosts refuse and goes on; from the merged tree, as
// it is before hosts change it ([Tree]); and from whoever knows more, as of an
// image's labels.
package lint
