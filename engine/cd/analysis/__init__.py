"""Statistics of texts of two models. Imports nothing, so that settings stay light."""
