"""What the vectors are made from and what the steered model is asked: `load_data`, and the persona lines before questions."""

from engine.steering.data.loading import load_data
from engine.steering.data.questions import ChoiceSet, Questions, SteeringData
from engine.steering.data.systems import system_line, with_system

__all__ = ["ChoiceSet", "Questions", "SteeringData", "load_data", "system_line", "with_system"]
