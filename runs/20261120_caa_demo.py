"""Contrastive activation addition on the demo model: does a vector steer a behaviour, and is it the direction that does it?

For each behaviour

    vectors_<b>   chats that show the behaviour and chats that show its opposite are read at every layer; the difference of
                  the means is the steering vector. The layer to steer is chosen on validation questions.
    apply_<b>     the vector is added, −1 to +1 times, while the model answers test questions it has never seen: A/B questions,
                  where the probability of either letter is measured, and open ones, whose answers are written down. All
                  multipliers are rows of the same batches, so the model is loaded once.
    random_<b>    the control: the same with random vectors of the same length.
    score_<b>     a judge (the demo model knows how) says of every open answer whether it shows the behaviour.
    plot_<b>      table and curve, here and as PNG and CSV in artifacts/plots/.

and at the end `report` prints all of it once more. Nothing is computed twice: start the run again and every step finds its
records in artifacts/; add a multiplier and only the new one is computed.

    tiller run runs/20261120_caa_demo.py
    tiller run runs/20261120_caa_demo.py --behaviors agree polite --multipliers -1 0 1
    tiller run runs/20261120_caa_demo.py --model demo-base

The parameters of `build` are the command's options and the console's form. To try your own model, give a folder or a hub id
as `--model`; to make another experiment, copy this file.
"""

from gpu_graph import Graph


def build(
    model: str = "demo",
    behaviors: tuple[str, ...] = ("agree", "refuse"),
    multipliers: tuple[float, ...] = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0),
    samples: int = 2,
    temperature: float = 0.5,
    random_vectors: int = 3,
    seed: int = 0,
) -> Graph:
    """
    model: 'demo', 'demo-base', a model folder or a hub id
    behaviors: of the demo data: agree, refuse, polite, happy, short
    multipliers: how many times the vector is added
    samples: answers per open question and multiplier (of each random vector: one)
    temperature: of the answers; 0 takes the likeliest token always
    random_vectors: how many control vectors of equal length
    seed: of the answers' random draws
    """
    graph = Graph("caa-demo")
    sweep = ["--multipliers", *map(str, multipliers), "--temperature", str(temperature), "--seed", str(seed)]
    repeats = ["--samples", str(samples)]
    control = ["--control", "random", "--control-seed", *map(str, range(random_vectors))] if random_vectors else []
    plots = []
    for behavior in behaviors:
        what = ["--model", model, "--behavior", behavior]
        labels = {"behavior": behavior}
        vectors = graph.shell(f"vectors_{behavior}", ["tiller", "steer", "vectors", *what], labels=labels)
        answers = [
            graph.shell(
                f"apply_{behavior}", ["tiller", "steer", "apply", *what, *sweep, *repeats], after=[vectors], labels=labels
            )
        ]
        if random_vectors:
            random = ["tiller", "steer", "apply", *what, *sweep, *control, "--samples", "1"]
            answers.append(graph.shell(f"random_{behavior}", random, after=[vectors], labels=labels))
        score = graph.shell(
            f"score_{behavior}",
            ["tiller", "steer", "score", *what, *sweep, *control, *repeats],
            after=answers,
            gpus=0,
            labels=labels,
        )
        plots.append(
            graph.shell(
                f"plot_{behavior}",
                ["tiller", "steer", "plot", *what, *sweep, *control, *repeats],
                after=[score],
                gpus=0,
                labels=labels,
            )
        )
    behaviors_option = ["--behaviors", *behaviors]
    graph.shell(
        "report",
        ["tiller", "steer", "report", "--model", model, *behaviors_option, *sweep, *control, *repeats],
        after=plots,
        gpus=0,
    )
    return graph
