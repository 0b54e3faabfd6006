// SPDX-License-Identifier: Apache-2.0

// Command mkuki writes a file that has the form of a UKI: a PE executable with
// the sections .osrel, .cmdline and .linux. No firmware boots it, as the stub
// of systemd is missing that would. A real one is made by ukify, or by objcopy
// from that stub; tests have need of neither.
//
//	mkuki -osrel FILE -cmdline FILE -linux FILE -output FILE
package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
)

// Where things are (Microsoft, PE Format, sections 2 to 4), in bytes.
const (
	dosHeaderSize   = 64
	peOffsetAt      = 0x3c // of the field in the DOS header that says where the rest begins
	directories     = 16
	fileAlign       = 512
	memoryAlign     = 4096
	headersSize     = 1024 // room for all headers, a multiple of fileAlign
	maxSections     = 8    // that fit
	efiApplication  = 10
	executable      = 0x0002
	largeAddress    = 0x0020
	initializedData = 0x00000040
	readable        = 0x40000000
)

type section struct {
	name string
	data []byte
}

// write returns the file with the sections.
func write(sections []section) ([]byte, error) {
	if len(sections) > maxSections {
		return nil, fmt.Errorf("%d sections, at most %d fit", len(sections), maxSections)
	}
	optional := pe.OptionalHeader64{
		Magic: 0x20b, SectionAlignment: memoryAlign, FileAlignment: fileAlign, Subsystem: efiApplication,
		SizeOfHeaders: headersSize, NumberOfRvaAndSizes: directories,
	}
	var table, data bytes.Buffer
	memory := uint32(memoryAlign)
	for _, s := range sections {
		header := pe.SectionHeader32{
			VirtualSize: uint32(len(s.data)), VirtualAddress: memory, Characteristics: initializedData | readable,
			PointerToRawData: uint32(headersSize + data.Len()),
		}
		copy(header.Name[:], s.name)
		data.Write(s.data)
		data.Write(make([]byte, -data.Len()&(fileAlign-1)))
		header.SizeOfRawData = uint32(headersSize+data.Len()) - header.PointerToRawData
		memory += (uint32(max(len(s.data), 1)) + memoryAlign - 1) &^ (memoryAlign - 1)
		if err := binary.Write(&table, binary.LittleEndian, header); err != nil {
			return nil, err
		}
	}
	optional.SizeOfImage = memory

	var file bytes.Buffer
	dos := make([]byte, dosHeaderSize)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[peOffsetAt:], dosHeaderSize)
	file.Write(dos)
	file.WriteString("PE\x00\x00")
	for _, part := range []any{
		pe.FileHeader{
			Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: uint16(len(sections)),
			SizeOfOptionalHeader: uint16(binary.Size(optional)), Characteristics: executable | largeAddress,
		},
		optional, table.Bytes(),
	} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			return nil, err
		}
	}
	file.Write(make([]byte, headersSize-file.Len()))
	file.Write(data.Bytes())
	return file.Bytes(), nil
}

func run() error {
	names := []string{"osrel", "cmdline", "linux"}
	files := make([]*string, len(names))
	for i, name := range names {
		files[i] = flag.String(name, "", "`FILE` for the section ."+name)
	}
	output := flag.String("output", "", "`FILE` to write")
	flag.Parse()
	if *output == "" || flag.NArg() > 0 {
		return errors.New("usage: mkuki -osrel FILE -cmdline FILE -linux FILE -output FILE")
	}
	var sections []section
	for i, name := range names {
		data, err := os.ReadFile(*files[i])
		if err != nil {
			return fmt.Errorf("-%s: %w", name, err)
		}
		sections = append(sections, section{"." + name, data})
	}
	text, err := write(sections)
	if err != nil {
		return err
	}
	return os.WriteFile(*output, text, 0o644)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mkuki:", err)
		os.Exit(1)
	}
}
