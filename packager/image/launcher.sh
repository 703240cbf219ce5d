#!/bin/sh
# `comfy-capsule` in the image: with the gateway's own Python, whatever PATH says.
exec /gateway/bin/python -m comfy_capsule.packager.cli "$@"
