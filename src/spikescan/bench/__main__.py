"""``python -m spikescan.bench`` is ``spikescan bench``."""

import sys

from spikescan.bench.cli import main

sys.exit(main(sys.argv[1:]))
