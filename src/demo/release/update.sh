#!/usr/bin/env bash
# A small stand-in for upstream's script: it knows --check and otherwise points to Cowhand.
cd "$(dirname "$0")" || exit 1
if [[ ${1:-} == --check || ${1:-} == -c ]]; then
  git fetch --quiet origin master || exit 99
  if [[ $(git rev-list --count HEAD..origin/master) -gt 0 ]]; then
    echo "Updated code is available."
    exit 0
  fi
  echo "No updates available."
  exit 3
fi
echo "This throw-away upstream is updated by cowhand." >&2
exit 1
