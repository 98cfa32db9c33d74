"""The one exception for input that a person can mend."""


class InputError(ValueError):
    """Bad input: the message is one line that names the file, row or key and says what is expected.

    Line breaks in it, which come of quoted data, become spaces.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
