"""Texts as vectors: what the mean is taken over, every kind of embedder, and that no text is embedded twice."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from chat_server import ChatServer, letters
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, BertTokenizerFast
from waiting import until

from engine.embedding_settings import EmbedderSettings
from engine.embeddings import EmbeddingCache, open_embedder
from engine.errors import EngineError, InputError
from engine.models import load
from engine.workspace import Workspace

TEXTS = ["Tell me about tea.", "Rain fell on the garden all day, and nobody minded.", "Tea.", "Apples and pears are fruit."]


@pytest.fixture(scope="module")
def demo():
    return load("demo")


@pytest.fixture(scope="module")
def sentence_folder(tmp_path_factory) -> Path:
    """A sentence-transformers model of random weights, with a prompt of its own that it uses by default."""
    folder = tmp_path_factory.mktemp("sentence")
    words = sorted({word for text in TEXTS for word in text.lower().replace(".", " .").replace(",", " ,").split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", *words])}
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizerFast(tokenizer_object=tokenizer, vocab=vocabulary, do_lower_case=True).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    parts = [transformer, Pooling(transformer.get_embedding_dimension(), pooling_mode="cls"), Normalize()]
    model = SentenceTransformer(modules=parts, prompts={"query": "query: "}, default_prompt_name="query", device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


def test_hidden_states_are_the_mean_over_the_texts_own_tokens(demo):
    found = open_embedder(EmbedderSettings(embedding_normalise=False)).embed(TEXTS)
    assert found.dtype == np.float32
    for vector, text in zip(found, TEXTS, strict=True):
        ids = demo.tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        with torch.inference_mode():
            states = demo.model(ids, output_hidden_states=True).hidden_states[-1][0]
        np.testing.assert_allclose(vector, states.mean(0).numpy(), atol=1e-5)


def test_a_beginning_of_text_is_read_and_left_out_of_the_mean(demo, tmp_path):
    from tokenizers.processors import TemplateProcessing

    demo.model.save_pretrained(tmp_path)
    demo.tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer.from_str(path.read_text())
    mark = demo.tokenizer.eos_token
    start = demo.tokenizer.convert_tokens_to_ids(mark)
    tokenizer.post_processor = TemplateProcessing(single=f"{mark} $A {mark}", special_tokens=[(mark, start)])
    path.write_text(tokenizer.to_str())
    found = open_embedder(EmbedderSettings(embedder=str(tmp_path), embedding_normalise=False)).embed([TEXTS[0], ""])
    ids = demo.tokenizer(TEXTS[0], add_special_tokens=False).input_ids
    with torch.inference_mode():
        states = demo.model(torch.tensor([[start, *ids]]), output_hidden_states=True).hidden_states[-1][0]
    np.testing.assert_allclose(found[0], states[1:].mean(0).numpy(), atol=1e-5)
    assert not found[1].any()


def test_an_instruction_is_read_before_the_text_and_left_out_of_the_mean(demo):
    settings = EmbedderSettings(embedding_normalise=False, embedding_instruction="About food: ")
    head, own = (demo.tokenizer(text, add_special_tokens=False).input_ids for text in ("About food: ", TEXTS[0]))
    with torch.inference_mode():
        states = demo.model(torch.tensor([head + own]), output_hidden_states=True).hidden_states[-1][0]
    np.testing.assert_allclose(open_embedder(settings).embed(TEXTS)[0], states[len(head) :].mean(0).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["demo", "sentence"])
def test_a_vector_does_not_depend_on_the_other_texts(kind, sentence_folder):
    embedder = open_embedder(
        EmbedderSettings(embedder="demo" if kind == "demo" else str(sentence_folder), embedding_batch_size=3)
    )
    together = embedder.embed(TEXTS)
    np.testing.assert_allclose(together[::-1], embedder.embed(TEXTS[::-1]), atol=1e-5)
    np.testing.assert_allclose(together, np.concatenate([embedder.embed([text]) for text in TEXTS]), atol=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_an_empty_text_has_no_direction_and_no_texts_no_vectors():
    embedder = open_embedder(EmbedderSettings())
    found = embedder.embed(["", TEXTS[0]])
    assert not found[0].any()
    assert found[1].any()
    assert embedder.embed([]).shape == (0, 0)


def test_the_end_of_a_text_beyond_the_models_positions_is_not_read_and_that_is_said(capsys, demo):
    limit = demo.model.config.max_position_embeddings
    word = demo.tokenizer.decode(demo.tokenizer(" tea", add_special_tokens=False).input_ids[:1])
    text = word * (limit + 50)
    embedder = open_embedder(EmbedderSettings())
    np.testing.assert_allclose(embedder.embed([text]), embedder.embed([text + TEXTS[0]]), atol=1e-5)
    assert f"1 of 1 texts are longer than the {limit} positions of demo" in capsys.readouterr().err


def test_a_sentence_transformers_folder_keeps_its_pooling_and_its_prompt(sentence_folder):
    reference = SentenceTransformer(str(sentence_folder), device="cpu")
    found = open_embedder(EmbedderSettings(embedder=str(sentence_folder))).embed(TEXTS)
    np.testing.assert_allclose(found, reference.encode(TEXTS), atol=1e-6)
    plain = open_embedder(EmbedderSettings(embedder=str(sentence_folder), embedding_instruction="")).embed(TEXTS)
    np.testing.assert_allclose(plain, reference.encode(TEXTS, prompt=""), atol=1e-6)
    assert np.abs(found - plain).max() > 1e-3


def test_an_identity_stands_for_all_that_decides_the_vectors(sentence_folder):
    def identity(**options) -> str:
        return open_embedder(EmbedderSettings(**options)).identity

    different = [
        identity(),
        identity(embedder="demo-base"),
        identity(embedding_normalise=False),
        identity(embedding_instruction="a"),
        identity(embedding_instruction="b"),
        identity(embedder=str(sentence_folder)),
    ]
    assert len(set(different)) == len(different)
    pooling = next(sentence_folder.glob("*_Pooling/config.json"))
    content = pooling.read_text()
    try:
        pooling.write_text(content.replace("cls", "mean"))
        assert identity(embedder=str(sentence_folder)) != different[-1]
    finally:
        pooling.write_text(content)
    assert identity(embedding_batch_size=2, embedding_device="cpu") == identity()


def test_what_embeds_is_not_loaded_before_there_is_a_text():
    code = (
        "import sys\nfrom engine.embedding_settings import EmbedderSettings\nassert 'numpy' not in sys.modules\n"
        "from engine.embeddings import open_embedder\nopen_embedder(EmbedderSettings()).identity\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="no config"):
        open_embedder(EmbedderSettings(embedder=str(tmp_path)))
    with pytest.raises(InputError, match="--embedder-model"):
        open_embedder(EmbedderSettings(embedder="openai"))


def test_a_folder_whose_parts_cannot_be_read_is_told_apart(tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "no.such.Module"}]))
    with pytest.raises(EngineError, match="could not be loaded as a sentence-transformers model"):
        open_embedder(EmbedderSettings(embedder=str(tmp_path))).embed(TEXTS)


def served(server: ChatServer, **options) -> EmbedderSettings:
    return EmbedderSettings(embedder=server.url, embedder_model="test-model", **options)


def test_a_server_embeds_in_batches_and_vectors_belong_to_their_texts():
    with ChatServer() as server:
        server.bodies = []
        found = open_embedder(served(server, embedding_normalise=False, embedding_batch_size=3)).embed([*TEXTS, ""])
    np.testing.assert_array_equal(found, np.array([*map(letters, TEXTS), letters("")], np.float32))
    assert [len(body["input"]) for body in server.bodies] == [3, 2]


def test_a_server_that_fails_now_and_then_is_asked_again():
    texts = [f"text {chr(97 + number)}" * (number + 1) for number in range(20)]
    with ChatServer(faults=0.4, kinds=("429", "500", "garbage", "drop"), seed=1) as server:
        found = open_embedder(served(server, embedding_instruction="a: ", embedding_batch_size=2)).embed(texts)
    expected = np.array([letters(f"a: {text}") for text in texts])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert server.counts.answered == 10
    assert set(server.counts.kinds) == {"answer", "429", "500", "garbage", "drop"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"longest": 3}, "refused to embed a batch of 4 texts"),
        ({"models": ("another",)}, "refused model test-model with 404"),
        ({"faults": 1.0, "kinds": ("garbage",)}, "without one vector for each text"),
    ],
)
def test_a_server_that_will_not_embed_ends_in_one_sentence(options, sentence):
    with ChatServer(**options) as server, pytest.raises(EngineError, match=sentence) as failure:
        open_embedder(served(server)).embed(TEXTS)
    assert "\n" not in str(failure.value)


class Counting:
    """An embedder that tells what it was asked."""

    identity = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts):
        self.asked.extend(texts)
        return np.array([letters(text) for text in texts], np.float32)


def test_only_new_texts_are_embedded_in_this_process_and_in_the_next(tmp_path):
    for expected in (["a", "bb"], []):
        embedder = Counting()
        cache = EmbeddingCache(Workspace(tmp_path), embedder)
        np.testing.assert_array_equal(cache.embed(["bb", "a", "bb"]), [letters("bb"), letters("a"), letters("bb")])
        assert embedder.asked == expected
    assert cache.embed([]).shape == (0, 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused_and_not_kept(tmp_path, wrong):
    class Broken(Counting):
        def embed(self, texts):
            return np.where(np.array([[text == "b"] for text in texts]), wrong, super().embed(texts))

    with pytest.raises(EngineError, match="1 of 3 texts vectors with places that are no finite numbers"):
        EmbeddingCache(Workspace(tmp_path), Broken()).embed(["a", "b", "c"])
    assert not list(tmp_path.rglob("*.safetensors"))


def test_another_embedder_has_its_own_vectors(tmp_path):
    embedder, other = Counting(), Counting()
    other.identity = "counting:raw"
    for one in (embedder, other):
        EmbeddingCache(Workspace(tmp_path), one).embed(["a"])
    assert other.asked == ["a"]


def test_what_a_killed_process_embedded_is_kept(tmp_path):
    program = """
        import sys, time
        from pathlib import Path
        import numpy as np
        from engine.embeddings import EmbeddingCache
        from engine.workspace import Workspace

        class Slow:
            identity = "counting"
            def embed(self, texts):
                if len(texts[0]) > 5:
                    print("second part", flush=True)
                    time.sleep(600)
                return np.array([[float(len(text))] for text in texts], np.float32)

        EmbeddingCache(Workspace(Path(sys.argv[1])), Slow()).embed(["%05d" % n for n in range(1024)] + ["a long text"])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "second part\n"
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: process.poll() is not None, "it has ended")
    embedder = Counting()
    found = EmbeddingCache(Workspace(tmp_path), embedder).embed(["00000", "01023"])
    assert embedder.asked == []
    np.testing.assert_array_equal(found, [[5.0], [5.0]])
    (segment,) = (tmp_path / "artifacts" / "embeddings").rglob("*.safetensors")
    assert segment.parent.name == hashlib.sha256(b"counting").hexdigest()[:16]
