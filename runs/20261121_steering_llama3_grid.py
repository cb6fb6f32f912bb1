"""The grid of steering-llama3: contrasts × behaviours × layers × edits, each a curve over multipliers, with one judge for all.

For every model, contrast and (with --logit) log-odds

    vectors_…   the vectors of all behaviours, with one load of the model.
    fit_…       what an edit must learn first: LEACE's functional, transport maps, scrub's chains.

and for every point of the grid

    apply_…     answers to open questions at every multiplier of the published range, and the perplexity of a plain text.
    score_…     a judge, served once for the whole graph, judges every answer.
    plot_…      table and curves.

As it stands it runs on the demo in some minutes. The published experiment, 276 points:

    tiller run runs/20261121_steering_llama3_grid.py --published --models /models/Llama-3-8B-Instruct \\
        /models/Llama-2-7b-chat-hf --dataset data/caa --layers 15 --steps 15 --stretch 1.5 --limit 25 --samples 20 \\
        --temperature 1.5 --top-k 50 --top-p 0.9 --max-new-tokens 50 --judge /models/judge-70b-awq --judge-gpus 1
    tiller run runs/20261121_steering_llama3_grid.py --published … --dry-run     shows its tasks and starts nothing

A part of it: --contrasts ab open --behaviors refusal --edits none leace orth scrub.
"""

from engine.steering.recipes import HARM, add_grid, grid, published_grid, rubrics_of, shared_judge
from gpu_graph import Graph


def build(
    models: tuple[str, ...] = ("demo",),
    dataset: str = "demo",
    contrasts: tuple[str, ...] = ("ab", "prompts"),
    behaviors: tuple[str, ...] = ("agree",),
    layers: tuple[int, ...] = (3,),
    all_layers: bool = True,
    edits: tuple[str, ...] = ("none", "leace"),
    logit: bool = False,
    published: bool = False,
    steps: int = 2,
    stretch: float = 0.25,
    limit: int = 10,
    samples: int = 1,
    temperature: float = 0.5,
    top_k: int = 0,
    top_p: float = 1.0,
    max_new_tokens: int = 30,
    positions: str = "all",
    judge: str = "demo",
    judge_gpus: int = 0,
    gpu_memory: str = "24GiB",
    seed: int = 0,
) -> Graph:
    """
    models: 'demo', 'demo-base', model folders or hub ids
    dataset: 'demo', or a folder with the CAA data sets and harm_dataset.csv
    contrasts: how classes are formed: ab, openr, open of behaviours; prompts, caa, opencon, abcon of the harm table
    behaviors: of the data set ('harm': refusal's pairs, asked harmful and harmless prompts)
    layers: stream layers, each a curve
    all_layers: steer all sublayers of all layers at once, too
    edits: before adding: none, project, orth, leace, scrub, quad, quadlda
    logit: vectors of log-odds too, where there are letters (ab, abcon)
    published: the published 138 points per model; of contrasts, behaviors, edits and logit nothing counts then
    steps: multipliers on either side of 0
    stretch: the published range of each contrast, times this
    limit: open questions of each behaviour (of the harm prompts: of either kind)
    samples: answers per question and multiplier
    temperature: of the answers; 0 takes the likeliest token always
    top_k: draw among so many likeliest tokens (0: all)
    top_p: draw among the likeliest tokens of this share
    max_new_tokens: longest answer
    positions: which tokens are steered: all, before, completion, generated
    judge: the model that is served as judge: 'demo', a folder or a hub id
    judge_gpus: GPUs of the judge (0: on the CPU)
    gpu_memory: of every task that loads a steered model, where there are GPUs
    seed: of the answers' random draws
    """
    graph = Graph("steering-llama3")
    if published:
        points = published_grid(models, layers[0])
    else:
        places = (*((None,) if all_layers else ()), *layers)
        logits = (False, True) if logit else (False,)
        tabled = behaviors if dataset == "demo" else (HARM,)
        points = list(grid(models, contrasts, behaviors, places, edits, logits, tabled))  # pyright: ignore[reportArgumentType]
    sweep = ["--samples", str(samples), "--temperature", str(temperature), "--top-k", str(top_k), "--top-p", str(top_p)]
    sweep += ["--max-new-tokens", str(max_new_tokens), "--positions", positions, "--seed", str(seed)]
    rubrics = rubrics_of(dataset, (point.behavior for point in points))
    judging = shared_judge(graph, rubrics, judge, judge_gpus)
    add_grid(
        graph,
        points,
        judging,
        dataset=dataset,
        sweep=sweep,
        limit=limit,
        steps=steps,
        stretch=stretch,
        gpu_memory=gpu_memory,
    )
    return graph
