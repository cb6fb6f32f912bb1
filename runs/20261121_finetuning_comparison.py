"""Fine-tuning beside steering: what does each reach, and what does steering add to a fine-tuned model?

For each behaviour

    vectors_<b>       the steering vector of the model as it is.
    tune_<b>_pos      the model fine-tuned to give the letter that shows the behaviour, and
    tune_<b>_neg      … the other letter: known as artifacts/finetuned/<b>-pos and <b>-neg.
    base_<b>          the model as it is over a sweep of multipliers: A/B questions, open answers, perplexity.
    pos_<b>, neg_<b>  the fine-tuned models over the same sweep, with the vector of the model they came from.
    score_…           one judge, served once for all, judges the open answers.
    figure_<b>        the three curves together.

    tiller run runs/20261121_finetuning_comparison.py
    tiller run runs/20261121_finetuning_comparison.py --method full --rate 2e-4
    tiller run runs/20261121_finetuning_comparison.py --model /models/Llama-2-7b-chat-hf --dataset data/caa \\
        --behaviors refusal --layer 13 --method lora --rate 2e-4 --judge /models/judge --judge-gpus 1
"""

from engine.steering.recipes import model_label, rubrics_of, shared_judge
from gpu_graph import Graph, Task


def build(
    model: str = "demo",
    dataset: str = "demo",
    behaviors: tuple[str, ...] = ("agree",),
    layer: int = 3,
    multipliers: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0),
    method: str = "lora",
    rate: float = 1e-3,
    epochs: int = 1,
    samples: int = 1,
    temperature: float = 0.5,
    limit: int = 40,
    judge: str = "demo",
    judge_gpus: int = 0,
    gpu_memory: str = "60GiB",
    seed: int = 0,
) -> Graph:
    """
    model: 'demo', 'demo-base', a model folder or a hub id
    dataset: 'demo', or a folder in the layout of the published CAA data sets
    behaviors: of the data set, with A/B questions; of the demo: agree
    layer: where all models are steered
    multipliers: how many times the vector is added
    method: full, lora, or qlora (on a GPU)
    rate: learning rate
    epochs: how often every example is shown
    samples: answers per open question and multiplier
    temperature: of the answers; 0 takes the likeliest token always
    limit: at most so many questions of each kind
    judge: the model that is served as judge: 'demo', a folder or a hub id
    judge_gpus: GPUs of the judge (0: on the CPU)
    gpu_memory: of every task that trains or loads the model, where there are GPUs
    seed: of training and of the answers' random draws
    """
    graph = Graph("finetuning-comparison")
    judging = shared_judge(graph, rubrics_of(dataset, behaviors), judge, judge_gpus)
    data = ["--dataset", dataset, "--contrast", "ab"]
    sweep = ["--layer", str(layer), "--multipliers", *map(str, multipliers), "--limit", str(limit)]
    sweep += ["--samples", str(samples), "--temperature", str(temperature), "--seed", str(seed)]
    training = ["--method", method, "--rate", str(rate), "--epochs", str(epochs), "--seed", str(seed)]
    load = {"gpu_memory": gpu_memory}
    for behavior in behaviors:
        what, base = [*data, "--behavior", behavior], ["--model", model]
        labels = {"behavior": behavior}
        vectors = graph.shell(f"vectors_{behavior}", ["tiller", "steer", "vectors", *base, *what], labels=labels, **load)
        scores: list[Task] = []
        tuned: list[str] = []
        for sign in ("base", "pos", "neg"):
            marks, steered, after = labels | {"tuned": sign}, base, [vectors]
            if sign != "base":
                name = f"{model_label(model)}-{behavior}-{sign}"
                tuning = ["tiller", "steer", "finetune", *base, *what, "--sign", sign, *training, "--name", name]
                after = [vectors, graph.shell(f"tune_{behavior}_{sign}", tuning, labels=marks, **load)]
                steered = ["--model", f"artifacts/finetuned/{name}", "--vector-model", model]
                tuned.append(f"{sign}=artifacts/finetuned/{name}")
            options = [*steered, *what, *sweep]
            apply = graph.shell(f"{sign}_{behavior}", ["tiller", "steer", "apply", *options], after=after, labels=marks, **load)
            score = ["tiller", "steer", "score", *options, *judging.asking]
            scores.append(graph.shell(f"score_{sign}_{behavior}", score, after=[apply, *judging.ready], gpus=0, labels=marks))
        figure = ["tiller", "steer", "figure", "finetuning", *base, *what, *sweep, "--models", *tuned, *judging.naming]
        graph.shell(f"figure_{behavior}", figure, after=scores, gpus=0, labels=labels)
    return graph
