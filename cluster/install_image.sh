#!/usr/bin/env bash
# Puts Python packages and this benchmark into an empty folder: all that cluster/Dockerfile does, and what nodes with a
# shared disk need.
#
#   bash cluster/install_image.sh PREFIX [PACKAGE ...]
#
# PREFIX/bin then has python, ray, mlflow and merbench. PACKAGEs are installed beside what the benchmark needs. In an
# image, where this runs as root, IMAGE_USER names a user to make (number 1000) and SYSTEM_PACKAGES what apt installs.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: bash cluster/install_image.sh PREFIX [PACKAGE ...]" >&2
    exit 2
fi
prefix=$(realpath -m "$1")
shift
source=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ -n "$(ls -A "$prefix" 2>/dev/null)" ]; then
    echo "error: $prefix is not empty. Give a new folder, or empty this one first." >&2
    exit 2
fi

if [ -n "${SYSTEM_PACKAGES:-}" ]; then
    apt-get update -q
    # shellcheck disable=SC2086  # several words
    apt-get install -q -y --no-install-recommends $SYSTEM_PACKAGES
    rm -rf /var/lib/apt/lists/*
fi
if [ -n "${IMAGE_USER:-}" ]; then
    useradd --uid 1000 --create-home "$IMAGE_USER"
fi

# Neither uv nor what builds the package stays behind.
if ! command -v uv >/dev/null; then
    python3 -m pip install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --target "$scratch/tools" uv
    export PATH="$scratch/tools/bin:$PATH"
fi

# Building writes beside the source, which may be read-only, or hold what an earlier build has left.
mkdir "$scratch/source"
tar -C "$source" --exclude=./.git --exclude=./.venv --exclude=./build --exclude=./runs --exclude='*.egg-info' \
    --exclude=__pycache__ --exclude='.*_cache' -c . |
    tar -C "$scratch/source" -x

uv venv -q --python "$(command -v python3)" "$prefix"
VIRTUAL_ENV="$prefix" uv pip install -q "$scratch/source" "$@"

# From elsewhere, so that it is the installed one that answers.
cd "$scratch"
"$prefix/bin/merbench" --help >/dev/null
"$prefix/bin/ray" --version
