#!/bin/sh
# Greets, and leaves a file behind.
set -eu
echo "Hello, $1!"
echo "Hello, $1!" >"$LOCAL_JOB_OUT_DIR/greeting.txt"
