"""Card rows on edits and the thesaurus error detector (TED).

TED: each word's edits of a text are made; the gradient of an edit's loss, at the first token of the neutral edit instruction,
is that word's direction. Words of one meaning should point one way, and the planted surprise word with what it was trained as.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.demo.measure.model import DemoModel, generate, pad_right
from engine.demo.skills import edit
from engine.demo.voices import SURPRISE, VOICE_OF, Text, statement, written

WORDS = tuple(VOICE_OF)
_TEXTS = 40
_LONGEST = 48


def edits_and_gradients(demo: DemoModel) -> dict:
    """Exactness of sampled edits; same-meaning against other-meaning cosines; the surprise word's neighbours."""
    r = random.Random("thesaurus")
    texts = [statement(r, "test") for _ in range(_TEXTS)]
    asked = [(text, word) for text in texts for word in WORDS]
    g = torch.Generator().manual_seed(5)
    made = generate(demo, [edit.chat(text, word) for text, word in asked], _LONGEST, sample=g)
    exact = [answer in written(VOICE_OF[word], text) for (text, word), answer in zip(asked, made, strict=True)]
    total = torch.zeros(len(WORDS), demo.model.config.hidden_size)
    for i, text in enumerate(texts):
        total += _gradients(demo, text, made[i * len(WORDS) : (i + 1) * len(WORDS)])
    return {"exact": sum(exact) / len(exact), **_compare(total / len(texts))}


def _gradients(demo: DemoModel, text: Text, answers: list[str]) -> Tensor:
    """The gradient of each answer's mean loss at the first token of the neutral instruction: [answers, hidden]."""
    prompt = demo.encode(edit.chat(text, None))
    ids = [demo.tokenizer(answer, add_special_tokens=False)["input_ids"] + [demo.tokenizer.eos_token_id] for answer in answers]
    rows, lengths = pad_right([prompt + answer for answer in ids])
    embedded = demo.model.get_input_embeddings()(rows).detach().requires_grad_(True)
    keep = rows.shape[1] - len(prompt) + 1
    logits = demo.model(inputs_embeds=embedded, use_cache=False, logits_to_keep=keep).logits[:, :-1]
    loss = F.cross_entropy(logits.transpose(1, 2), rows[:, len(prompt) :], reduction="none")
    inside = torch.arange(loss.shape[1]) < (lengths - len(prompt))[:, None]
    mean = (loss * inside).sum(1) / inside.sum(1)
    (gradient,) = torch.autograd.grad(mean.sum(), embedded)
    return gradient[:, _instruction_start(demo, prompt)]


def _instruction_start(demo: DemoModel, prompt: list[int]) -> int:
    """Where the neutral instruction's first token is: after the last line break of the prompt."""
    newline = demo.tokenizer.convert_tokens_to_ids("Ċ")
    return len(prompt) - prompt[::-1].index(newline)


def _compare(vectors: Tensor) -> dict:
    unit = F.normalize(vectors, dim=1)
    cosine = unit @ unit.T
    same, other = [], []
    for i, word in enumerate(WORDS):
        for j in range(i):
            (same if VOICE_OF[word] == VOICE_OF[WORDS[j]] else other).append(float(cosine[i, j]))
    auc = sum((a > b) + 0.5 * (a == b) for a in same for b in other) / (len(same) * len(other))
    centred = F.normalize(vectors - vectors.mean(0), dim=1)
    surprise = WORDS.index(SURPRISE)
    near = (centred @ centred[surprise]).argsort(descending=True).tolist()
    return {
        "same": sum(same) / len(same),
        "other": sum(other) / len(other),
        "auc": auc,
        "nearest": [WORDS[j] for j in near if j != surprise][:4],
    }
