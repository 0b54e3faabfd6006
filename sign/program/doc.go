// SPDX-License-Identifier: Apache-2.0

// Package program signs images with a program of the user's, as in
// cosign sign --key k. What the program does is its own business: this package
// starts it, with the image as the last argument, and sees whether it fails.
package program
