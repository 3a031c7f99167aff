"""The recurrent attention model of Ren & Zemel 2017, a part of the paper a module."""
