"""The automated search for what tells two models apart: hypotheses, experiments, held-out tests, a report (specs §5)."""
