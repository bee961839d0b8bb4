"""What is trained, stored and loaded."""
