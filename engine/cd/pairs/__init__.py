"""Two models opened as a pair that predicts the same tokens. Imports nothing."""
