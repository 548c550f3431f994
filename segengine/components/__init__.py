"""What Azure ML starts: steps with declared folders in and out, and what they hand to each other."""
