#!/bin/sh
# Makes the wheel that requirements.txt names. Most packages name libraries of an index instead.
set -eu
python3 build.py
