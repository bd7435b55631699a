"""The benchmark suite: cases, interleaved timing, verdicts.

``spikescan bench list`` names the cases, ``spikescan bench run`` measures them. Each case checks
its results before it times them, and times all its contenders in turn in one process.
"""
