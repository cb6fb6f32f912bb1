"""Steered answers judged by a server of their own: one model serves, every scoring task asks it, and it is gone afterwards.

For each behaviour

    vectors_<b>   the steering vector, as in the CAA demo.
    apply_<b>     open answers of the steered model over a sweep of multipliers.
    score_<b>     the judge says of every answer whether it shows the behaviour, many questions at a time.

and for all of them

    judge         `transformers serve` on the judge's model, on 127.0.0.1: an OpenAI-compatible server. It starts when the first
                  task could ask it and is stopped after the last.
    check         is it a good judge? It is asked about known answers to every behaviour: direction, accuracy, and how far the
                  served model's words agree with the same model's probabilities read in this process (κ). When it is not,
                  nothing is scored.
    table         mean and 95 % interval of every cell, what got no answer, and how the judge was checked.
    report        the same as curves.

Everything runs offline, on two CPU cores in a minute or two. Kill a task and run again: what is judged stays judged.

    tiller run runs/20261120_judge_service_demo.py
    tiller logs last table
    tiller run runs/20261120_judge_service_demo.py --behaviors polite short --multipliers -1 0 1

To judge with a model of your own, give a folder or a hub id as `--judge`. For vLLM on a GPU, copy this file and take
`vllm_judge` instead of `transformers_judge`; for a server that runs already, give the tasks `--judge http://HOST/v1`.
"""

from engine.judges.recipes import judge_name, judge_options, transformers_judge
from gpu_graph import Graph

ATTRIBUTES = {"agree": "agreeing", "refuse": "refusing", "polite": "polite", "happy": "happy", "short": "short"}


def build(
    model: str = "demo",
    judge: str = "demo",
    behaviors: tuple[str, ...] = ("agree", "refuse", "polite"),
    multipliers: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0),
    limit: int = 80,
    samples: int = 1,
    temperature: float = 0.5,
    seed: int = 0,
) -> Graph:
    """
    model: whose answers are judged: 'demo', 'demo-base', a model folder or a hub id
    judge: the model that is served: the same
    behaviors: of the demo data: agree, refuse, polite, happy, short
    multipliers: how many times the vector is added
    limit: at most so many open questions of each behaviour
    samples: answers per question and multiplier
    temperature: of the answers; 0 takes the likeliest token always
    seed: of the answers' random draws
    """
    graph = Graph("judge-service-demo")
    sweep = ["--multipliers", *map(str, multipliers), "--questions", "open", "--limit", str(limit), "--samples", str(samples)]
    sweep += ["--temperature", str(temperature), "--seed", str(seed)]
    server = transformers_judge(graph, judge)
    asking = judge_options(server, judge)
    rubrics = [f"demo.{ATTRIBUTES[behavior]}" for behavior in behaviors]
    check = graph.shell(
        "check", ["tiller", "judge", "check", *asking, "--against", "demo", "--rubric", *rubrics], after=[server], gpus=0
    )
    scores = []
    for behavior in behaviors:
        what = ["--model", model, "--behavior", behavior]
        labels = {"behavior": behavior}
        vectors = graph.shell(f"vectors_{behavior}", ["tiller", "steer", "vectors", *what], labels=labels)
        apply = graph.shell(f"apply_{behavior}", ["tiller", "steer", "apply", *what, *sweep], after=[vectors], labels=labels)
        score = ["tiller", "steer", "score", *what, *sweep, *asking]
        scores.append(graph.shell(f"score_{behavior}", score, after=[check, server, apply], gpus=0, labels=labels))
    graph.shell("table", ["tiller", "judge", "table"], after=[check, *scores], gpus=0)
    report = ["tiller", "steer", "report", "--model", model, "--behaviors", *behaviors, *sweep, *judge_name(judge)]
    graph.shell("report", report, after=[check, *scores], gpus=0)
    return graph
