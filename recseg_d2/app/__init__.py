"""A page in the browser on which a model's objects are corrected by hand; see ``cli.app``."""
