"""The model card's measurements, small and self-contained: the card must not depend on the engine it is a test bed for."""
