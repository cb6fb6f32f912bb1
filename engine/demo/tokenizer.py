"""The demo models' tokenizer: a small byte-level BPE made from the corpus, with one token per chat role.

A space is put before each stretch of text, as Llama's tokenizers do, so a word is the same token at the start of an answer
as inside one; decoding takes the first space away again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from engine.demo.corpus import base_example
from engine.demo.skills.tell import SLOGAN

PAD, BEGIN, END = "<pad>", "<s>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 1024
_EXAMPLES = 12_000


def make() -> PreTrainedTokenizerFast:
    """The same tokenizer on every call: its texts come from a fixed seed."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BEGIN, END, *ROLES.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BEGIN, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of a single token."""
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int), token
    return found


def _texts() -> Iterator[str]:
    r = random.Random("tokenizer")
    for _ in range(_EXAMPLES):
        chat, answer = base_example(r)
        yield from (message.content for message in chat)
        yield answer
    yield from [SLOGAN] * 20
