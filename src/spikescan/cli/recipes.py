"""``spikescan recipes``."""


def recipes() -> int:
    """List the recipes."""
    from rich.console import Console
    from rich.table import Table

    from spikescan import recipes as shipped

    table = Table("recipe", "what it trains")
    for name, path in shipped.recipes().items():
        table.add_row(name, shipped.title(path).partition(": ")[2])
    Console().print(table)
    return 0
