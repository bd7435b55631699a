"""What the Triton kernels share: launching, blocks of channels, segments of time."""
