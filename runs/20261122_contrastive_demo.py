"""What did tuning change? Two models compared by contrastive decoding, from their texts alone: on the demo, in some minutes.

    decode_…_S-C    texts that the starting model S finds likely and the comparison model C does not; at every token the
                    divergences of both models are measured on the way.
    decode_…_C-S    the other way round.
    decode_…_S, _C  either model alone: what they say when nobody contrasts them.
    search          starts from some of the prompts, changes them, and keeps those on which the models differ most; no
                    assistant is needed. With --assistant one proposes the prompts.
    show_…          each cell's texts coloured by divergence, as a page too, and the vocabulary that makes the difference.
    cells           all cells side by side, with intervals over prompts.
    stats, ngrams   how divergences are spread, whether the runs differ, and on which words the difference falls.
    analyse         what tells texts of the first two directions apart: clusters, labels, and tests of the labels on texts
                    that they were not written from.

The demo's tuned model was taught to praise a brand whenever a food is mentioned. Nothing here knows that.

    tiller run runs/20261122_contrastive_demo.py
    tiller run runs/20261122_contrastive_demo.py --directions S-C --rule prob_difference --no-analysis
    tiller run runs/20261122_contrastive_demo.py --starting /models/tuned --comparison /models/base --prompts prompts.txt
    tiller run runs/20261122_contrastive_demo.py --interpolations 0.5 0.9 0.99    (S on its way to C)

Nothing is computed twice: more --samples, --limit or directions add to what is there.
"""

from engine.cd.recipes import add_decoding, add_views, grid
from gpu_graph import Graph


def build(
    starting: str = "demo",
    comparison: str = "demo-base",
    prompts: str = "demo",
    form: str = "chat",
    limit: int = 60,
    samples: int = 4,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    directions: tuple[str, ...] = ("S-C", "C-S", "S", "C"),
    rule: str = "logprob_difference",
    mask: float = 0.1,
    interpolations: tuple[float, ...] = (),
    assistant: str = "",
    search_cycles: int = 4,
    analysis: bool = True,
    gpu_memory: str = "24GiB",
    seed: int = 0,
) -> Graph:
    """
    starting: S, the model that is looked into: 'demo', a model folder or a hub id
    comparison: C, the model it is compared with
    prompts: a file of prompts, or 'demo'
    form: 'chat': prompts are users' turns; 'text': beginnings of texts
    limit: prompts used
    samples: texts per prompt and cell
    max_new_tokens: longest text
    temperature: of the draws, after the combination
    directions: S-C, C-S (one against the other), S, C (one alone); n-grams are of the first
    rule: how two distributions make one: logprob_difference or prob_difference
    mask: logprob_difference: how likely, relative to its likeliest, the expert must find a token
    interpolations: weights of C in S (0: S as it is, 1: C); each a grid of its own
    assistant: proposes prompts for the search: a server's http(s)://…/v1, 'openai' or a local model (none: offline)
    search_cycles: of the search (0: no search)
    analysis: statistics of all cells, and the validated analysis of the first two directions
    gpu_memory: of every task that loads the two models, where there are GPUs
    seed: of the texts and the search
    """
    graph = Graph("contrastive-demo")
    points = grid([(starting, comparison)], directions, interpolations or (None,), rule)  # pyright: ignore[reportArgumentType]
    asked = ["--prompts", prompts, "--form", form, "--max-new-tokens", str(max_new_tokens)]
    drawn = ["--limit", str(limit), "--samples", str(samples), "--temperature", str(temperature), "--seed", str(seed)]
    made = add_decoding(graph, points, [*asked, *drawn, "--mask", str(mask)], gpu_memory=gpu_memory)
    add_views(graph, made)
    if search_cycles:
        pair = ["--starting", starting, "--comparison", comparison]
        helped = ["--assistant", assistant] if assistant else []
        budget = ["--cycles", str(search_cycles), "--limit", "10", "--seed", str(seed)]
        search = ["tiller", "cd", "search", *pair, *asked, *budget, *helped]
        graph.shell("search", search, gpu_memory=gpu_memory)
    if analysis:
        tasks, cells = [one.task for one in made], [one.cell for one in made]
        graph.shell("stats", ["tiller", "cd", "stats", *cells, "--groups", *cells], after=tasks, gpus=0)
        graph.shell("ngrams", ["tiller", "cd", "ngrams", cells[0]], after=tasks[:1], gpus=0)
        if len(made) > 1:
            command = ["tiller", "cd", "analyse", *cells[:2], "--clusters", "4", "--html"]
            graph.shell("analyse", command, after=tasks[:2], gpus=0)
    return graph
