// Package deployments holds the tests of the files in deployments/: that the tools they are written for take them, and that
// Waybill takes what they tell it. No container is run here; test/wide runs the commands of the compose file as processes.
package deployments
