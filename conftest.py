"""What is collected: modules that import Triton only where it is installed."""

from importlib.util import find_spec

collect_ignore_glob = (
    []
    if find_spec("triton")
    else ["src/spikescan/ops/*/gpu.py", "src/spikescan/ops/*/kernels.py", "src/spikescan/ops/gpu/*"]
)
