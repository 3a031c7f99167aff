"""What the package costs in time and memory, beside literal and official implementations."""
