"""Decode an untrusted media file to 16 kHz: what its bytes are, which tracks it has, and their sound at its time."""
