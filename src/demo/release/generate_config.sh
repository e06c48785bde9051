#!/usr/bin/env bash
# The demo's site comes with a mailcow.conf; upstream's script of this name asks for a host name and writes one.
echo "mailcow.conf is written by the demo itself." >&2
exit 1
