"""The one exception for input that a person can mend."""


class InputError(ValueError):
    """Bad input: the message is one line that names the file, row or key and says what is expected."""
