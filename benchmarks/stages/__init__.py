"""Where the time of a call goes, stage by stage; ``run.py --stages``."""
