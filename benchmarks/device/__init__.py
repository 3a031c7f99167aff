"""The parts of ``benchmarks/device_check.py``: what is checked and measured on a device."""
