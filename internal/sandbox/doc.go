// Package sandbox starts programs, holds them back from the rest of the machine, and ends them with everything they
// started. It knows neither packages nor jobs: a program is a command, the folders it may use, and limits.
//
// What it holds back and what it does not is told at Mode.
package sandbox
