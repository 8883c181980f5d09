"""x."""


def routes(server):
    return []
