"""Who judges answers: `local`, a model of our own. Imports nothing, so that rubric names stay light."""
