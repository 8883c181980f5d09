"""The operators of ``@tator/sync``, one file each."""

OPERATORS: tuple[type, ...] = ()
