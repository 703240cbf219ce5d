"""The proof: what is in an image is what the capsule says, compared inside it while it is built, or ever after."""
