"""``python -m spikescan`` is the command line."""

import sys

from spikescan.cli import main

sys.exit(main())
