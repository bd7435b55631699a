"""``spikescan info``."""


def info() -> int:
    """Versions, devices, CPU kernels in use."""
    from spikescan.ops._core.cpu import available_levels
    from spikescan.train.environment import environment

    facts = environment()
    del facts["command"]
    facts["CPU levels here"] = ", ".join(available_levels()) or "none"
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0
