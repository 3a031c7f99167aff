"""The one exception for input that a user can mend."""


class UserError(ValueError):
    """Bad input. The message names the file or key, what was found, what was expected, the mend."""
