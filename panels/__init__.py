"""The panels of ``@tator/sync``; there are none yet."""

PANELS: tuple[type, ...] = ()
