"""What the environment needs of the operating system: shared libraries and programs."""
