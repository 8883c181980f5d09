"""x."""


def as_json():
    return b"{}"


def as_yaml():
    return b"{}"
