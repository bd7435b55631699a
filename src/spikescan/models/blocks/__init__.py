"""Blocks, from a stream to a stream: one file a block."""
