"""gpu_graph: a graph of dependent tasks onto the GPUs of one host, by a scheduler that loses nothing."""

from gpu_graph.errors import GraphError, GraphFailed
from gpu_graph.graph import Graph, Task
from gpu_graph.seed_interface import run

__all__ = ["Graph", "GraphError", "GraphFailed", "Task", "run"]
