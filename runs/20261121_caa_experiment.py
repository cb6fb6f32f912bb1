"""Contrastive activation addition, the whole experiment: which layer, how far, beside system prompts, and at what cost.

    vectors           every behaviour's vector at every layer and sublayer, activations kept; a layer is chosen on held-out
                      questions.
    layers_<b>        every layer alone, −1, 0 and +1 times the vector: A/B questions, open answers, the perplexity of a text.
    figure_layers     which layer works, and what it costs.
    pca               do activations separate by behaviour, or only by letter? How alike are the behaviours' vectors?
    apply_<b>         at the chosen layer, the whole range of multipliers: A/B questions, open answers, perplexity.
    pos_<b>, neg_<b>  the same beside a system prompt that asks for the behaviour, and one that asks for its opposite.
    check_judge       is the judge to be trusted with every behaviour? Where it is not, nothing is scored.
    score_<b>         that judge, served once for all, says how much of the behaviour every open answer shows.
    figures, report   behaviours together, steering beside system prompts, and one HTML page of everything.

    tiller run runs/20261121_caa_experiment.py
    tiller run runs/20261121_caa_experiment.py --behaviors agree --multipliers -1 0 1 --layers 2 3 --limit 10
    tiller run runs/20261121_caa_experiment.py --model /models/Llama-2-7b-chat-hf --dataset data/caa --contrast ab \\
        --behaviors sycophancy refusal myopic-reward --layers 10 11 12 13 14 15 16 --judge /models/judge --judge-gpus 1 \\
        --personas sycophancy refusal
"""

from engine.steering.recipes import Judging, rubrics_of, shared_judge
from gpu_graph import Graph, Task


def build(
    model: str = "demo",
    dataset: str = "demo",
    contrast: str = "prompts",
    behaviors: tuple[str, ...] = ("agree", "refuse", "polite"),
    layers: tuple[int, ...] = (0, 1, 2, 3),
    layer_multipliers: tuple[float, ...] = (-1.0, 0.0, 1.0),
    layer_limit: int = 20,
    multipliers: tuple[float, ...] = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0),
    personas: tuple[str, ...] = ("agree", "polite"),
    samples: int = 1,
    temperature: float = 0.5,
    limit: int = 40,
    judge: str = "demo",
    judge_gpus: int = 0,
    gpu_memory: str = "20GiB",
    seed: int = 0,
) -> Graph:
    """
    model: 'demo', 'demo-base', a model folder or a hub id
    dataset: 'demo', or a folder in the layout of the published CAA data sets
    contrast: how pairs are formed: prompts (demo), ab (the published form: read at the answer letter)
    behaviors: of the data set; of the demo: agree, refuse, polite, happy, short
    layers: which layers are compared
    layer_multipliers: how many times the vector is added at each of these
    layer_limit: at most so many questions of each kind at each of these
    multipliers: how many times the vector is added at the chosen layer
    personas: those of them that are steered beside system prompts too; the demo has prompts for all but refuse
    samples: answers per open question and multiplier
    temperature: of the answers; 0 takes the likeliest token always
    limit: at most so many questions of each kind at the chosen layer
    judge: the model that is served as judge: 'demo', a folder or a hub id
    judge_gpus: GPUs of the judge (0: on the CPU)
    gpu_memory: of every task that loads the model, where there are GPUs
    seed: of the answers' random draws
    """
    graph = Graph("caa-experiment")
    judging = shared_judge(graph, rubrics_of(dataset, behaviors), judge, judge_gpus)
    data = ["--model", model, "--dataset", dataset, "--contrast", contrast]
    sweep = ["--multipliers", *map(str, multipliers), "--limit", str(limit), "--samples", str(samples)]
    sweep += ["--temperature", str(temperature), "--seed", str(seed)]
    every_layer = ["--layer", *map(str, layers), "--multipliers", *map(str, layer_multipliers), "--limit", str(layer_limit)]
    every_layer += ["--samples", str(samples), "--temperature", str(temperature), "--seed", str(seed)]
    load = {"gpu_memory": gpu_memory}

    vectors = graph.shell(
        "vectors", ["tiller", "steer", "vectors", *data, "--behavior", *behaviors, "--save-activations"], **load
    )
    pca = ["tiller", "steer", "figure", "pca", *data, "--behavior", *behaviors]
    graph.shell("pca", pca, after=[vectors], gpus=0)
    graph.shell(
        "similarity", ["tiller", "steer", "figure", "similarity", *data, "--behavior", *behaviors], after=[vectors], gpus=0
    )
    layered: list[Task] = []
    scores: list[Task] = []
    for behavior in behaviors:
        what, labels = [*data, "--behavior", behavior], {"behavior": behavior}
        options = [*what, *every_layer]
        alone = graph.shell(
            f"layers_{behavior}", ["tiller", "steer", "apply", *options], after=[vectors], labels=labels, **load
        )
        layered.append(_score(graph, f"score_layers_{behavior}", options, judging, alone, labels))
        for persona in ("none", "pos", "neg") if behavior in personas else ("none",):
            options = [*what, *sweep, *(["--system-prompt", persona] if persona != "none" else [])]
            name = "apply" if persona == "none" else persona
            marks = labels | {"system prompt": persona}
            applied = graph.shell(
                f"{name}_{behavior}", ["tiller", "steer", "apply", *options], after=[vectors], labels=marks, **load
            )
            scores.append(_score(graph, f"score_{name}_{behavior}", options, judging, applied, marks))
    several = [*data, "--behavior", *behaviors]
    figure = ["tiller", "steer", "figure", "layers", *several, *every_layer, *judging.naming]
    figures = [graph.shell("figure_layers", figure, after=layered, gpus=0)]
    figure = ["tiller", "steer", "figure", "behaviors", *several, *sweep, *judging.naming]
    figures.append(graph.shell("figure_behaviors", figure, after=scores, gpus=0))
    with_personas = [behavior for behavior in behaviors if behavior in personas]
    if with_personas:
        figure = ["tiller", "steer", "figure", "systems", *data, "--behavior", *with_personas, *sweep, *judging.naming]
        figures.append(graph.shell("figure_systems", figure, after=scores, gpus=0))
    report = ["tiller", "steer", "report", *data, "--behaviors", *behaviors, *sweep, *judging.naming, "--html"]
    graph.shell("report", report, after=figures, gpus=0)
    return graph


def _score(graph: Graph, id: str, options: list[str], judging: Judging, applied: Task, labels: dict[str, str]) -> Task:
    score = ["tiller", "steer", "score", *options, *judging.asking]
    return graph.shell(id, score, after=[applied, *judging.ready], gpus=0, labels=labels)
