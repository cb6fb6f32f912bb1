"""The search for prompts on which two models differ: an assistant or the models themselves propose, the best go on (§4)."""
