#!/bin/sh
# Makes totals.jar.
set -eu
mkdir -p build
javac --release 11 -d build src/Totals.java
jar --create --file totals.jar --main-class orders.Totals -C build .
