"""What one bit per test image can tell: intervals, differences, ranks."""
