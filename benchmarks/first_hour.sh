#!/usr/bin/env bash
# What a new user sees of `make train`: a clean clone in a directory of its own, the seconds since its start before every
# line, and at the end the time and the CPU time of everything.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
git clone --quiet "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)" "$place/socialmd_tf"
cd "$place/socialmd_tf"
SECONDS=0
{ time make train; } 2>&1 | while IFS= read -r line; do printf '%4d s  %s\n' "$SECONDS" "$line"; done
