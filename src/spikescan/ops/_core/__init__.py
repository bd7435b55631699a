"""What every op uses: registration, validation, and what both kinds of kernels are built on."""
