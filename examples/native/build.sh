#!/bin/sh
# Makes bin/totals, for the kind of machine the worker is.
set -eu
CGO_ENABLED=0 go build -trimpath -o bin/totals main.go
