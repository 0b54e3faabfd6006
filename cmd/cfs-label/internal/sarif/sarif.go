// SPDX-License-Identifier: Apache-2.0

// Package sarif has what this program needs of SARIF 2.1.0, in which tools tell
// of findings (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), with those
// properties that GitHub wants (docs.github.com, "SARIF support for code
// scanning").
package sarif

// What a log says of itself.
const (
	Version = "2.1.0"
	Schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// ResultsMax is how many results of a run GitHub takes.
const ResultsMax = 25000

// Log is a SARIF file (section 3.13).
type Log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []Run  `json:"runs"`
}

// Run is one run of a tool (3.14).
type Run struct {
	Tool        Tool         `json:"tool"`
	Invocations []Invocation `json:"invocations"`
	ColumnKind  string       `json:"columnKind"`
	Results     []Result     `json:"results"`
}

// Tool is the tool (3.18).
type Tool struct {
	Driver Driver `json:"driver"`
}

// Driver is its program (3.19).
type Driver struct {
	Name           string `json:"name"`
	Version        string `json:"version"`
	InformationURI string `json:"informationUri"`
	Rules          []Rule `json:"rules"`
}

// Rule is a rule (3.49, reportingDescriptor).
type Rule struct {
	ID                   string        `json:"id"`
	ShortDescription     Message       `json:"shortDescription"`
	FullDescription      Message       `json:"fullDescription"`
	Help                 Message       `json:"help"`
	HelpURI              string        `json:"helpUri"`
	DefaultConfiguration Configuration `json:"defaultConfiguration"`
}

// Configuration is how bad what breaks a rule is (3.50).
type Configuration struct {
	Level string `json:"level"` // error, warning or note
}

// Invocation says how a run went (3.20).
type Invocation struct {
	ExecutionSuccessful        bool           `json:"executionSuccessful"`
	ToolExecutionNotifications []Notification `json:"toolExecutionNotifications,omitempty"`
}

// Notification is what is to be known of a run besides its results (3.58).
type Notification struct {
	Level   string  `json:"level"`
	Message Message `json:"message"`
}

// Message is text (3.11).
type Message struct {
	Text string `json:"text"`
}

// Result is a finding (3.27).
type Result struct {
	RuleID    string     `json:"ruleId"`
	RuleIndex int        `json:"ruleIndex"`
	Level     string     `json:"level"`
	Message   Message    `json:"message"`
	Locations []Location `json:"locations"`
	// PartialFingerprints tell from run to run that a finding is the same.
	PartialFingerprints map[string]string `json:"partialFingerprints"`
}

// Location is where it is (3.28).
type Location struct {
	PhysicalLocation PhysicalLocation  `json:"physicalLocation"`
	LogicalLocations []LogicalLocation `json:"logicalLocations"`
}

// PhysicalLocation is a place in a file (3.29). GitHub shows no result without.
type PhysicalLocation struct {
	ArtifactLocation ArtifactLocation `json:"artifactLocation"`
	Region           Region           `json:"region"`
}

// ArtifactLocation is a file (3.4).
type ArtifactLocation struct {
	URI string `json:"uri"`
}

// Region is a part of a file (3.30).
type Region struct {
	StartLine int `json:"startLine"`
}

// LogicalLocation is a place by its name (3.33).
type LogicalLocation struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
}
